"""The picture of `mocapact view` in the documentation, and how smoothly a page plays.

    python tests/benchmarks/picture_view.py experts/CMU_007_01-0-84 --seconds 1.2 --out docs/view.png

A page is served and opened in a headless Chromium. While it plays, a second client counts the pictures that the server
sends, and the browser says how many it draws and how much its main thread has to do; without a graphics card the
processor draws, which is what limits the browser. Then it is paused and photographed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "shared"))

from browser import Browser, find_browser

MEASURED_S = 5.0
BUTTON = "[...document.querySelectorAll('button')].find((one) => one.innerText.trim() === '{}')"
DRAWN = "window.__viserTestpoints?.rendererInfo?.render.frame ?? 0"
SECOND = "Number(document.body.innerText.match(/([\\d.]+) of [\\d.]+ s/)?.[1] ?? -1)"


def main() -> None:
    options = parsed()
    program = find_browser()
    if program is None:
        sys.exit("There is no Chromium.")
    command = [sys.executable, "-m", "mocapact_cli", "view", options.target, "--no-open", "--json", *options.view]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        assert server.stdout is not None
        url = json.loads("".join(iter(server.stdout.readline, "}\n")) + "}")["url"]
        browser = Browser(program, Path(folder), webgl=True)
        try:
            browser.open(url, *options.size)
            browser.wait(f"({DRAWN}) > 5 && {BUTTON.format('Pause')} !== undefined", tries=1200)
            print(json.dumps(measured(browser, url, server.pid), indent=2))
            photograph(browser, options)
        finally:
            browser.close()
            server.terminate()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", help="what is looked at")
    parser.add_argument("--view", nargs="*", default=[], help="further options of `mocapact view`")
    parser.add_argument("--seconds", type=float, default=1.0, help="moment of the picture")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800), help="of the window, pixels")
    parser.add_argument("--out", type=Path, default=Path("view.png"))
    return parser.parse_args()


def measured(browser: Browser, url: str, server: int) -> dict[str, float]:
    """Return pictures a second, sent and drawn, and processor milliseconds of server and page for each that is sent.

    The server has two clients then, the page and the one that counts.
    """
    browser.order("Performance.enable", timeDomain="threadTicks")
    before, served, started = work(browser), processor_seconds(server), time.perf_counter()
    sent, size = received(url)
    seconds, served, after = time.perf_counter() - started, processor_seconds(server) - served, work(browser)
    drawn = after["drawn"] - before["drawn"]
    return {
        "sent_per_s": round(sent / MEASURED_S, 1),
        "sent_kb_per_s": round(size / MEASURED_S / 1000, 1),
        "drawn_per_s": round(drawn / seconds, 1),
        "server_ms_per_sent": round(1000 * served / seconds / (sent / MEASURED_S), 2),
        "page_ms_per_sent": round(1000 * (after["busy"] - before["busy"]) / seconds / (sent / MEASURED_S), 2),
    }


def work(browser: Browser) -> dict[str, float]:
    """Return pictures drawn so far, and seconds that the page's main thread was busy."""
    metrics = {one["name"]: one["value"] for one in browser.order("Performance.getMetrics")["metrics"]}
    return {"drawn": browser.evaluate(DRAWN), "busy": metrics["TaskDuration"]}


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def received(url: str) -> tuple[int, int]:
    """Return how many messages the server sends in a while, one a picture, and their bytes."""
    import viser
    from websockets.sync.client import connect

    place, protocol = url.replace("http", "ws"), f"viser-v{viser.__version__}"
    count = size = 0
    with connect(place, subprotocols=[protocol], max_size=None, compression=None) as socket:  # type: ignore[list-item]
        deadline: float | None = None
        while deadline is None or time.monotonic() < deadline:
            message: Any = socket.recv(timeout=10)
            if deadline is None:
                # What is there already comes first, all at once.
                deadline = time.monotonic() + MEASURED_S
                continue
            count, size = count + 1, size + len(message)
    return count, size


def photograph(browser: Browser, options: argparse.Namespace) -> None:
    """Pause at the wanted moment and save the picture."""
    browser.wait(f"{SECOND} >= {options.seconds}", tries=2000)
    browser.evaluate(f"{BUTTON.format('Pause')}.click()")
    browser.wait(f"{BUTTON.format('Play')} !== undefined", tries=400)
    browser.evaluate("document.querySelectorAll('.mantine-Notification-closeButton').forEach((one) => one.click())")
    time.sleep(3.0)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    browser.screenshot(options.out)


if __name__ == "__main__":
    main()
