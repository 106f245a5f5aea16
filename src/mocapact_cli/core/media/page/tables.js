// Tables that sort by a click on a heading and show the rows that hold what is typed.
"use strict";
(() => {
  const number = (text) => { const match = text.replace(/,/g, "").match(/^\s*-?\d+(\.\d+)?(e[-+]?\d+)?/i);
    return match ? Number(match[0]) : NaN; };

  // Cells that begin with a number go by it ("1.2 ± 0.3" by its mean); those without one stay at the end.
  function compareNumbers(a, b, sign) {
    const [x, y] = [number(a), number(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  }

  function sort(table, column, heading) {
    const up = heading.getAttribute("aria-sort") !== "ascending", sign = up ? 1 : -1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const compare = heading.dataset.kind === "number" ? compareNumbers
      : (a, b) => sign * a.localeCompare(b, undefined, { numeric: true });
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(a.cells[column].textContent, b.cells[column].textContent, sign));
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
