"""The wheel and the sdist, as they are built and installed elsewhere: what is in them, and whether it works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "mocapact_cli"
SOURCES = {path.relative_to(ROOT / "src").as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
SOURCES = {name for name in SOURCES if "__pycache__" not in name}
KINDS = {".py", ".md", ".png", ".html", ".js", ".css", ".typed", ".toml", ".sh"}
"""Of files in the sdist: no recordings, models or datasets."""
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def run(*command: object, cwd: Path, **environment: str) -> str:
    """Run a program outside the tree, without what the tests' own environment would lend it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def new_environment(folder: Path) -> Path:
    """Make an empty environment and return its Python."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    """A folder outside the tree; its environments are gigabytes, so nothing stays."""
    folder = tmp_path_factory.mktemp("distributions")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def built(place: Path) -> dict[str, Path]:
    """The two files: `wheel` and `sdist`."""
    python = new_environment(place / "builder")
    got = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--retries", "1", "build"],
        capture_output=True,
        text=True,
        check=False,
    )
    if got.returncode:
        pytest.skip(f"pip reaches no registry: {got.stderr.strip().splitlines()[-1]}")
    run(python, "-m", "build", "--outdir", place / "dist", ROOT, cwd=place)
    (wheel,), (sdist,) = (place / "dist").glob("*.whl"), (place / "dist").glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def test_the_wheel_holds_the_package_and_nothing_else(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == SOURCES
    assert {"mocapact_cli/py.typed", "mocapact_cli/core/media/page/page.html"} < SOURCES
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_sdist_holds_what_the_readme_and_the_tests_refer_to_and_no_data(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as archive:
        files = {member.name.partition("/")[2]: member.size for member in archive if member.isfile()}
    assert {f"src/{name}" for name in SOURCES} < files.keys()
    assert {"README.md", "SECURITY.md", "LICENSE", "install.sh", "docs/dataset.md", "tests/conftest.py"} < files.keys()
    assert {name for name in files if Path(name).suffix not in KINDS} == {".gitignore", "LICENSE", "PKG-INFO"}
    assert max(files.values()) < 1_000_000


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_works_where_it_is_installed(built: dict[str, Path], place: Path, kind: str) -> None:
    environment = place / kind
    python = new_environment(environment)
    try:
        # As install.sh does it; PyPI's build serves where this one cannot be reached.
        cpu = [python, "-m", "pip", "install", "-q", "--no-deps", "--retries", "1", "--index-url", CPU_BUILDS]
        subprocess.run([*map(str, cpu), "torch>=2.10,<2.14"], capture_output=True, check=False)
        run(python, "-m", "pip", "install", "-q", built[kind], cwd=place)
        run(python, "-m", "pip", "check", cwd=place)
        try_out(environment / "bin" / "mocapact", place / f"{kind}-work")
    finally:
        shutil.rmtree(environment)


def try_out(program: Path, folder: Path) -> None:
    """Train, judge, record and look, as a user's first hour goes."""
    folder.mkdir()

    def mocapact(*words: object) -> str:
        return run(program, *words, cwd=folder, MOCAPACT_HOME=str(folder / "home"), MOCAPACT_OFFLINE="1")

    assert "quickstart" in mocapact("--help")
    assert str(program.parent.parent) in mocapact("doctor", "--json")
    assert "demo_squat" in mocapact("clips", "list")
    shared = ("--threads", 1, "--json")
    mocapact("expert", "train", "demo_squat", "--total-timesteps", 8192, "--log-root", "experts", *shared)
    assert '"norm_length"' in mocapact("expert", "eval", "experts", "--n-eval-episodes", 4, *shared)
    few = ("--n-start-rollouts", 1, "--n-rsi-rollouts", 1)
    assert '"episodes": 2' in mocapact("rollout", "experts", "-o", "dataset", *few, *shared)
    assert "demo_squat" in mocapact("inspect", "dataset", "--check", "--html", "page.html")
    assert "<script" in (folder / "page.html").read_text(encoding="utf-8")
