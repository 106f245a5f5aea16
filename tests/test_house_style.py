"""The shape of the code: short functions, small modules. Lint and types hold the rest."""

import ast
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
