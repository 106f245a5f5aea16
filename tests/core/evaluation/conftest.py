"""An expert with a random network for a built-in clip, and a browser to look at pages with."""

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

import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, find_experts, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.recorder import record_rollouts
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

SNIPPETS = (Snippet("demo_reach", 0, 40), Snippet("demo_squat", 0, 45))


@pytest.fixture(scope="session")
def pairs():
    return [(demo(snippet.clip_id), snippet) for snippet in SNIPPETS]


@pytest.fixture(scope="session")
def policy() -> ExpertPolicy:
    return ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16, 16))


@pytest.fixture(scope="session")
def recorded(policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two snippets with two episodes from the start and two from random steps each."""
    root = tmp_path_factory.mktemp("experts")
    for snippet in SNIPPETS:
        write_model(root / str(snippet) / RSI_MODEL, policy, {"gamma": 0.9})
        write_clip_info(root / str(snippet), snippet, TIME_INDEX, ref_steps=[0])
    folder = tmp_path_factory.mktemp("recorded") / "dataset"
    config = RolloutConfig(n_start_rollouts=2, n_rsi_rollouts=2, min_steps=10, num_envs=4)
    record_rollouts(find_experts(root), open_library(), folder, config)
    return folder


class Browser:
    """A headless Chromium, told what to do over a pair of pipes.

    Attributes:
        problems: errors on the console and exceptions since the page was opened.
        requests: addresses that the page has asked for, without its own and data inside it.
    """

    FLAGS = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--remote-debugging-pipe",
    )  # fmt: skip

    def __init__(self, program: str, profile: Path) -> None:
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
            [program, *self.FLAGS, f"--user-data-dir={profile}", "about:blank"],
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
            if not address.startswith("data:") and address != self.address:
                self.requests.append(address)

    address = ""

    def open(self, page: Path, width: int = 1280, height: int = 900) -> None:
        """Load a page and wait until it is there."""
        self.problems.clear()
        self.requests.clear()
        self.address = page.resolve().as_uri()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.order("Emulation.setDeviceMetricsOverride", **size)
        self.order("Page.navigate", url=self.address)
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(self.address)}")

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


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory):
    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := which(name))), None
    )
    if program is None:
        pytest.skip("no Chromium is installed")
    running = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()
