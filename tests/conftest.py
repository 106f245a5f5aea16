"""What every test stands on: a home folder of its own, and the recordings and published files where they exist."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import hypothesis
import pytest

from mocapact_cli.core.errors import MissingDependencyError
from mocapact_cli.core.media.gl import find_backend

# As the program itself does: PyTorch's threads share the cores with the physics and must not wait by spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell that starts the tests in the background ignores Ctrl-C for them, and so for the programs that they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]

# A deadline would make tests fail by the clock on a busy machine.
hypothesis.settings.register_profile("mocapact", deadline=None)
hypothesis.settings.load_profile("mocapact")


@pytest.fixture(autouse=True)
def mocapact_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point MOCAPACT_HOME at an empty folder, so that no test sees or touches the user's data."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MOCAPACT_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder with recordings and published files: `MOCAPACT_TEST_DATA`, else `shared` beside the repository."""
    folder = Path(os.environ.get("MOCAPACT_TEST_DATA") or ROOT.parent / "shared")
    if not (folder / "mocap").is_dir():
        pytest.skip(f"no test data in {folder}; set MOCAPACT_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def opengl() -> str:
    """The name of an off-screen OpenGL back end that works here."""
    try:
        return find_backend()
    except MissingDependencyError as error:
        pytest.skip(f"{error.message} {error.hint}")


@pytest.fixture(scope="session")
def azurite():
    """Azure Blob Storage, emulated on this machine."""
    from azurite import azurite, find_azurite

    program = find_azurite()
    if program is None:
        pytest.skip("no azurite-blob; `npm install --prefix .venv/azurite azurite@3.35` brings it")
    with azurite(program) as running:
        yield running


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the machine's own proxy, which is nothing for servers that run in tests."""
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme.upper()}_PROXY", raising=False)


@pytest.fixture
def server():
    """A server without files that fails as it is told to."""
    from http_server import Server

    with Server() as running:
        yield running


@pytest.fixture
def hub():
    """A server in Hugging Face's layout, without repositories."""
    from http_server import Server
    from hub import Hub

    with Server() as server, Server() as storage:
        yield Hub(server, storage)


@pytest.fixture
def writable_hub(no_proxy, monkeypatch: pytest.MonkeyPatch):
    """A server in the place of Hugging Face that takes commits with its token, which is in HF_TOKEN."""
    from http_server import Server
    from writable_hub import WritableHub

    with Server() as server, Server() as storage:
        running = WritableHub(server, storage)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", running.token)
        # It has no Xet, like most servers but Hugging Face's; the library reads the variable once.
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield running


@pytest.fixture
def small_disk(tmp_path: Path):
    """Return a function that makes a file system of so many kilobytes."""
    mounted = []

    def mount(kilobytes: int) -> Path:
        disk = tmp_path / f"disk{len(mounted)}"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("this process may not mount a file system")
        mounted.append(disk)
        return disk

    yield mount
    for disk in mounted:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(scope="session")
def write_rollouts():
    """Return a function that writes small rollouts into a folder: actions follow from observations, so one can learn.

    Its arguments: folder, snippets, reference steps.
    """
    import numpy as np

    from mocapact_cli.core.datasets.metrics import write_metrics
    from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
    from mocapact_cli.core.sim.observables import ALL_PROPRIOS, ObservableLayout

    steps, episodes = 35, 4

    def write(folder: Path, snippets=("demo_squat-0-40", "demo_reach-0-40"), ref_steps=(1, 2, 3, 4, 5)) -> Path:
        rng, columns = np.random.default_rng(0), ObservableLayout(ALL_PROPRIOS, ref_steps).slices
        sizes = {name: part.stop - part.start for name, part in columns.items()}
        layout = RolloutLayout(sizes, ref_steps, episodes // 2, episodes // 2)
        for snippet in snippets:
            with RolloutWriter(folder / f"{snippet.split('-')[0]}.hdf5", layout, [snippet]) as writer:
                for slot in range(episodes):
                    seen = rng.standard_normal((steps + 1, layout.obs_size)).astype(np.float32)
                    actions = np.tanh(seen[:-1, columns["walker/joints_pos"]])
                    record = EpisodeRecord(
                        observations=seen,
                        actions=actions,
                        mean_actions=actions,
                        rewards=rng.random(steps),
                        values=rng.random(steps).astype(np.float32),
                        advantages=rng.standard_normal(steps),
                        early_termination=False,
                        episode_return=20.0,
                        norm_return=0.7 if "squat" in snippet else 0.3,
                        norm_length=1.0,
                    )
                    writer.add(snippet, slot, record)
        write_metrics(folder)
        return folder

    return write
