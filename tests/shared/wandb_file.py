"""Reading back what W&B has written for a run that was offline: a log of records, in blocks as LevelDB has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK, _HEADER = 32768, 7
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def _records(content: bytes) -> Iterator[bytes]:
    position, begun = _HEADER, b""
    assert content[:4] == b":W&B"
    while position + _HEADER <= len(content):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER:
            position += left
            continue
        length = int.from_bytes(content[position + 4 : position + 6], "little")
        kind = content[position + 6]
        begun += content[position + _HEADER : position + _HEADER + length]
        position += _HEADER + length
        if kind in (_WHOLE, _LAST):
            yield begun
            begun = b""


def read_run(path: Path) -> dict[str, Any]:
    """What one session of a run sent: its id, settings, rows, summary, exit code and the axis of its metrics."""
    from wandb.proto.wandb_internal_pb2 import Record

    found: dict[str, Any] = {"config": {}, "rows": [], "summary": {}, "exit_code": None, "axis": set()}
    for content in _records(path.read_bytes()):
        record = Record.FromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found |= {"id": record.run.run_id, "project": record.run.project, "name": record.run.display_name}
            found["config"] |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            row = {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            found["rows"].append(row)
        elif kind == "summary":
            found["summary"] |= {
                ".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.summary.update
            }
        elif kind == "metric":
            found["axis"].add(record.metric.step_metric)
        elif kind == "exit":
            found["exit_code"] = record.exit.exit_code
    return found


def sessions(root: Path) -> list[dict[str, Any]]:
    """What every session of the run in a folder sent, in order."""
    import wandb

    # Its service writes beside this process, and has written all when it has ended.
    wandb.teardown()
    return [read_run(path) for path in sorted(root.glob("wandb/offline-run-*/run-*.wandb"))]


def rows(session: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a session as they were given, without what W&B adds and without pictures."""
    numbers = [row for row in session["rows"] if not any(name.endswith("._type") for name in row)]
    return [{name: value for name, value in row.items() if not name.startswith("_")} for row in numbers]
