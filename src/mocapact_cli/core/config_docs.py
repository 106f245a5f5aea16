"""What stands in the source below each field of a configuration, read without importing it.

A field is declared once, with its type and a docstring: the command line's options, the comments of a TOML file and
the readers of the code all have it from there. Modules of configurations may import PyTorch, for which an option's
help is no reason.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Declared:
    """A field as it is declared.

    Attributes:
        name: Of the field.
        annotation: Its type, as written.
        doc: Its docstring on one line; empty where it has none.
    """

    name: str
    annotation: str
    doc: str


def declared_in(module: str, class_name: str) -> dict[str, Declared]:
    """Return the fields that a class declares itself, by name; nothing where there is no source.

    Args:
        module: Full name of its module, which is not imported.
        class_name: Of the class.
    """
    path = _source(module)
    tree = _parsed(path) if path is not None else None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return dict(_fields(node))
    return {}


def docs_of(cls: type) -> dict[str, str]:
    """Return the docstrings of all fields of a class, inherited ones included."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= {name: one.doc for name, one in declared_in(base.__module__, base.__name__).items() if one.doc}
    return found


def keys_in(module: str, table: str) -> list[str]:
    """Return the texts that a table in a module has as keys, or a tuple as items; nothing where there is no source.

    Args:
        module: Full name of the module, which is not imported.
        table: Name of a dictionary or tuple that is written out in it.
    """
    path = _source(module)
    tree = _parsed(path) if path is not None else None
    for node in tree.body if tree is not None else ():
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == table for target in targets):
            return _texts(getattr(node, "value", None))
    return []


def _texts(node: ast.expr | None) -> list[str]:
    if isinstance(node, ast.Dict):
        items: list[ast.expr | None] = list(node.keys)
    else:
        items = list(node.elts) if isinstance(node, ast.Tuple | ast.List) else []
    return [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def _source(module: str) -> Path | None:
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded is not None:
        return Path(loaded)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


@functools.lru_cache(maxsize=32)
def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        # Without the source there is no help, but all else works.
        return None


def _fields(node: ast.ClassDef) -> list[tuple[str, Declared]]:
    found = []
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name, annotation = statement.target.id, ast.unparse(statement.annotation)
            found.append((name, Declared(name, annotation, _docstring(following))))
    return found


def _docstring(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        value = statement.value.value
        return " ".join(value.split()) if isinstance(value, str) else ""
    return ""
