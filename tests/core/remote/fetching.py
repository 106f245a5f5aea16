"""Fetches files in a process of its own for every line that comes: the address, the folder, the names, the connections.

It answers with the number of that process, and with its exit code when it has ended. Imports cost their second once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path

from mocapact_cli.core.remote import download
from mocapact_cli.core.remote.files import RemoteFile
from mocapact_cli.core.remote.http import HttpSource
from mocapact_cli.core.remote.transfer import fetch_all

# So that files small enough for a test come in many pieces.
download._SHORTEST_PIECE = 1 << 16


def fetch(url: str, folder: str, names: list[str], jobs: int) -> int:
    """Fetch, and return the exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        fetch_all(HttpSource(url), map(RemoteFile, names), Path(folder), jobs=jobs)
    except KeyboardInterrupt:
        return 130
    except BaseException:  # noqa: BLE001 - shown by the test that fails
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Serve."""
    for line in sys.stdin:
        process = os.fork()
        if not process:
            os._exit(fetch(*json.loads(line)))
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
