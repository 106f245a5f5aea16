"""Lines of JSON objects, such as metrics, where a crash may have cut one or damage may have spoiled it."""

from __future__ import annotations

import json
from typing import Any


def json_object(line: str | bytes) -> dict[str, Any] | None:
    """Return the object in a line; None where it is not one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
