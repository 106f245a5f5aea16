// Tables that sort by a click on a heading and show the rows that hold what is typed.
"use strict";
(() => {
  const number = (text) => { const match = text.replace(/,/g, "").match(/^\s*-?\d+(\.\d+)?(e[-+]?\d+)?/i);
    return match ? Number(match[0]) : NaN; };

  function compare(a, b) {
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) && Number.isNaN(y)) return a.localeCompare(b, undefined, { numeric: true });
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return x - y;
  }

  function sort(table, column, heading) {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    // Cells that begin with a number go by it; "1.2 ± 0.3" sorts by its mean.
    const textual = heading.dataset.kind === "text";
    const rank = textual ? (a, b) => a.localeCompare(b, undefined, { numeric: true }) : compare;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (up ? 1 : -1) * rank(a.cells[column].textContent, b.cells[column].textContent));
    table.tBodies[0].append(...rows);
  }

  for (const section of document.querySelectorAll("section.table")) {
    const table = section.querySelector("table"), search = section.querySelector("input");
    [...table.tHead.rows[0].cells].forEach((heading, column) =>
      heading.querySelector("button").addEventListener("click", () => sort(table, column, heading)));
    search.addEventListener("input", () => {
      const wanted = search.value.toLowerCase();
      for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  }
})();
