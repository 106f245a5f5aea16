"""A browser to look at pages with."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import subprocess
import time
from pathlib import Path
from shutil import which
from typing import Any


def find_browser() -> str | None:
    """Return the program; None where there is none."""
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := which(name))), None)


class Browser:
    """A headless Chromium, told what to do over a pair of pipes.

    Attributes:
        problems: errors on the console and exceptions since the page was opened.
        requests: addresses that the page has asked for, without its own and data inside it.
    """

    FLAGS = (
        "--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--remote-debugging-pipe",
    )  # fmt: skip

    WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
    """For pages in 3D, which are then drawn without a graphics card."""

    def __init__(self, program: str, profile: Path, *, webgl: bool = False) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        (read_orders, self._orders), (self._answers, write_answers) = os.pipe(), os.pipe()
        # High numbers first, because either may be 3 or 4 itself.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read_orders, write_answers)]

        def give_pipes() -> None:
            """Chromium reads orders from descriptor 3 and answers on descriptor 4."""
            for number, end in enumerate(ends, start=3):
                os.dup2(end, number)

        self._process = subprocess.Popen(
            [
                program,
                *self.FLAGS,
                *(self.WEBGL if webgl else ("--disable-gpu",)),
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=(3, 4),
            preexec_fn=give_pipes,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (read_orders, write_answers, *ends):
            os.close(end)
        self._buffer, self._number, self._session = b"", 0, None
        target = self.order("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.order("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.order(f"{domain}.enable")

    def order(self, method: str, **parameters: Any) -> Any:
        """Send one order and return its result; events that come before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._orders, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _receive(self) -> Any:
        while b"\0" not in self._buffer:
            # A browser that hangs must not take the tests with it.
            assert select.select([self._answers], [], [], 60)[0], "the browser does not answer"
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def _note(self, event: Any) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(parameters["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.problems.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.problems.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            address = parameters["request"]["url"]
            if not address.startswith(("data:", "blob:")) and address != self.address:
                self.requests.append(address)

    address = ""

    def open(self, page: Path | str, width: int = 1280, height: int = 900) -> None:
        """Load a file or an address and wait until it is there."""
        self.problems.clear()
        self.requests.clear()
        self.address = page.resolve().as_uri() if isinstance(page, Path) else page
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.order("Emulation.setDeviceMetricsOverride", **size)
        self.order("Page.navigate", url=self.address)
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(self.address)})")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        result = self.order("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, condition: str, tries: int = 200) -> None:
        """Wait until a JavaScript expression is true."""
        for _ in range(tries):
            if self.evaluate(condition):
                return
            time.sleep(0.05)
        raise AssertionError(f"never: {condition}")

    def screenshot(self, path: Path) -> None:
        """Save what is seen."""
        path.write_bytes(base64.b64decode(self.order("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End the browser."""
        self._process.kill()
        self._process.wait()
        os.close(self._orders)
        os.close(self._answers)
