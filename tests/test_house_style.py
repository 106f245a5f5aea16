"""The shape of the code: short functions, small modules. Lint and types hold the rest."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

SOURCES = sorted((Path(__file__).resolve().parents[1] / "src").rglob("*.py"))


def functions():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.name}:{node.name}", lines_of_code(node)


def lines_of_code(function):
    """Lines from `def` to the end without the docstring."""
    docstring = function.body[0] if ast.get_docstring(function, clean=False) is not None else None
    inside = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
    return function.end_lineno - function.lineno + 1 - inside


def test_functions_are_short():
    named = dict(functions())
    lengths = np.array(list(named.values()))
    longest = max(named, key=named.__getitem__)
    assert np.median(lengths) <= 8
    assert np.percentile(lengths, 90) <= 30
    assert named[longest] <= 100, longest


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_modules_are_small(path):
    assert len(path.read_text().splitlines()) < 500


PICKLES = {
    "core/safe/unpickler.py": {"pickle"},
    # Written, never read.
    "core/datasets/metrics.py": {"pickle"},
    "core/interop/normalizers.py": {"pickle"},
    # Two numbers of a file's first bytes are compared with what `dumps` makes of them.
    "core/interop/checkpoint_file.py": {"pickle"},
    # Names of exceptions that `torch.load` raises.
    "core/training/ppo/checkpoint.py": {"pickle"},
    "core/training/distillation/resuming.py": {"pickle"},
}
"""Modules that may import what can unpickle -> what."""
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "pickletools"}
OPENED_BY = {
    "zipfile.ZipFile": {
        *("core/safe/archives.py", "core/datasets/metrics.py", "core/interop/sb3_zip.py"),
        "core/interop/exporters/d4rl.py",
    },
    "torch.load": {"core/training/ppo/checkpoint.py", "core/training/distillation/resuming.py"},
    "h5py.File": {
        *("core/safe/h5.py", "core/clips/mocap_h5.py", "core/datasets/h5_output.py", "core/interop/exporters/d4rl.py"),
        "core/bench/dataset.py",
    },
    **dict.fromkeys(
        (
            *(
                "np.load",
                "numpy.load",
                "pickle.load",
                "pickle.loads",
                "pickle.Unpickler",
                "torch.jit.load",
                "torch.hub.load",
            ),
            *("np.lib.npyio.load", "eval", "exec", "PPO.load", "VecNormalize.load"),
        ),
        frozenset[str](),
    ),
}
"""How files are opened that may hold code or lies -> the only modules that do it."""


def _modules():
    root = SOURCES[0].parents[0]
    while root.name != "mocapact_cli":
        root = root.parent
    for path in SOURCES:
        yield path.relative_to(root).as_posix(), ast.parse(path.read_text())


def _imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_what_can_unpickle_is_imported_where_it_is_known_why():
    found = {name: UNPICKLERS & set(_imported(tree)) for name, tree in _modules()}
    assert {name: modules for name, modules in found.items() if modules} == PICKLES


def test_files_that_may_hold_code_are_opened_in_few_places():
    for name, tree in _modules():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func)
            assert name in OPENED_BY.get(called, {name}), f"{called} in {name}, line {call.lineno}"
            allowed = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert allowed.get("allow_pickle", "False") == "False", f"{name}, line {call.lineno}"
            assert called != "torch.load" or allowed.get("weights_only") == "True", f"{name}, line {call.lineno}"


SECTION = re.compile(r"(Args|Attributes|Raises):")
LOWER = re.compile(r" {4}\*{0,2}\w[\w, ]*: (?!dm_control\b)[a-z]")


def docstrings():
    for path in (path for path in SOURCES if path.parent.name != "media"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                yield f"{path.name}:{getattr(node, 'name', '')}", ast.get_docstring(node) or ""


def test_docstrings_are_of_one_style():
    """Entries of sections begin with a capital, and code stands between single backticks."""
    for where, text in docstrings():
        section = False
        for line in text.splitlines():
            section = bool(SECTION.fullmatch(line)) or (section and (not line or line.startswith(" ")))
            assert not (section and LOWER.match(line)), f"{where}: {line}"
            assert "``" not in line.replace("```", ""), f"{where}: {line}"
            assert not re.search(r":(class|func|meth|attr):`", line), f"{where}: {line}"


def test_the_map_of_the_library_is_complete():
    core = next(path for path in SOURCES if path.parent.name == "core").parent
    inside = {path.parent.relative_to(core).parts[0] + "/" for path in SOURCES if path.parent.parent == core}
    inside |= {path.name for path in core.glob("[!_]*.py")}
    page = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text()
    assert [name for name in sorted(inside) if not re.search(rf"(^|[ (]){re.escape(name)}", page, re.MULTILINE)] == []
