"""What exported policies hold, as facts for `inspect`: headers and graphs are read, nothing is run."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.interop.policy_places import ONNX_SUFFIX, SAFETENSORS_SUFFIX
from mocapact_cli.core.interop.safetensors_header import DESCRIPTION_KEY, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Facts = dict[str, Any]


def inspect_exported(path: Path) -> Facts | None:
    """Return what a `.safetensors` or `.onnx` file holds; None for others.

    Raises:
        InvalidInputError: It is damaged.
        MissingDependencyError: The package that reads it is not installed.
    """
    if path.suffix == SAFETENSORS_SUFFIX:
        return safetensors_facts(path)
    return onnx_facts(path) if path.suffix == ONNX_SUFFIX else None


def safetensors_facts(path: Path) -> Facts:
    """Return what a safetensors file holds, of mocapact or of others; only its header is read.

    Raises:
        InvalidInputError: It is damaged.
        MissingDependencyError: The safetensors package is not installed.
    """
    header = read_header(path)
    said = header.description or {}
    config = said.get("config")
    return {
        "kind": "safetensors",
        "path": str(path),
        "bytes": path.stat().st_size,
        "model": said.get("model"),
        **_seen(said),
        "parameters": sum(math.prod(shape) for shape, _ in header.tensors.values()),
        "tensors": [{"path": name, "shape": shape, "dtype": dtype} for name, (shape, dtype) in header.tensors.items()],
        "settings": config if isinstance(config, dict) else {},
        "metadata": {name: text for name, text in header.metadata.items() if name != DESCRIPTION_KEY},
        "versions": said.get("versions"),
    }


def onnx_facts(path: Path) -> Facts:
    """Return what an ONNX file holds, of mocapact or of others; the graph is not run, files beside it are not opened.

    Raises:
        InvalidInputError: It is damaged.
        MissingDependencyError: The onnx package is not installed.
    """
    library = require("onnx", purpose="ONNX files")
    try:
        model = library.load(str(path), load_external_data=False)
    except Exception as error:
        raise InvalidInputError(f"{path} is damaged or no ONNX file: {str(error).strip() or 'it is empty'}.") from error
    if not model.ir_version or not model.HasField("graph"):
        raise InvalidInputError(f"{path} is damaged or no ONNX file: it has no graph.")
    graph, metadata = model.graph, {entry.key: entry.value for entry in model.metadata_props}
    said = {name: _parsed(metadata.pop(name, "")) for name in ("observables", "sizes", "ref_steps")}
    return {
        "kind": "onnx",
        "path": str(path),
        "bytes": path.stat().st_size,
        "model": metadata.pop("kind", None),
        **_seen(said),
        "inputs": [_port(value, library) for value in graph.input],
        "outputs": [_port(value, library) for value in graph.output],
        "parameters": sum(math.prod(tensor.dims) for tensor in graph.initializer),
        "operators": dict(Counter(node.op_type for node in graph.node).most_common()),
        "opsets": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "written_by": f"{model.producer_name} {model.producer_version}".strip(),
        "tensors": [_initializer(tensor, library) for tensor in graph.initializer],
        "metadata": metadata,
        "outside_files": sorted({place for tensor in graph.initializer for place in _outside(tensor)}),
    }


def _port(value: Any, library: Any) -> Facts:
    tensor = value.type.tensor_type
    shape = [size.dim_param or size.dim_value for size in tensor.shape.dim]
    return {"name": value.name, "shape": shape, "dtype": _type_name(tensor.elem_type, library)}


def _initializer(tensor: Any, library: Any) -> Facts:
    return {"path": tensor.name, "shape": list(tensor.dims), "dtype": _type_name(tensor.data_type, library)}


def _type_name(number: int, library: Any) -> str:
    known = library.TensorProto.DataType
    name: str = known.Name(number) if number in known.values() else str(number)
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())


def _outside(tensor: Any) -> Iterable[str]:
    return [entry.value for entry in tensor.external_data if entry.key == "location"]


def _seen(said: Mapping[str, Any]) -> Facts:
    """Return what a policy sees: its observables with their columns, and its reference steps."""
    names, sizes, steps = (said.get(name) for name in ("observables", "sizes", "ref_steps"))
    sound = isinstance(names, list) and isinstance(sizes, list) and len(names) == len(sizes)
    pairs = zip(map(str, names or ()), sizes or (), strict=True) if sound else ()
    return {"observables": dict(pairs), "ref_steps": steps if isinstance(steps, list) else []}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
