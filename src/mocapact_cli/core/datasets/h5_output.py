"""Writing HDF5 files of any layout to real disks, through `DiskFile`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.datasets.disk_file import DiskFile, interrupts_after
from mocapact_cli.core.errors import naming_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import h5py


class H5Output:
    """An HDF5 file that is being written.

    Args:
        handle: The open file; it is written to only inside `writing`.
        disk: What it is written to.
        path: Its name, for messages.
    """

    def __init__(self, handle: h5py.File, disk: DiskFile, path: Path) -> None:
        self.handle = handle
        self._disk, self._path = disk, path

    @contextlib.contextmanager
    def writing(self) -> Iterator[h5py.File]:
        """Yield the file for a few writes; Ctrl-C waits for the end of the block.

        Raises:
            OSError: The disk has not taken everything.
        """
        with interrupts_after():
            yield self.handle
        with naming_os_errors(self._path):
            self._disk.check()


@contextlib.contextmanager
def create_h5(path: Path, **options: Any) -> Iterator[H5Output]:
    """Create an HDF5 file for the duration of the block; what is in its place is lost.

    Args:
        path: The file.
        options: Of `h5py.File`, such as `track_order`.

    Raises:
        OSError: The disk has not taken everything.
    """
    import h5py

    with naming_os_errors(path), contextlib.closing(DiskFile(path)) as disk, contextlib.ExitStack() as stack:
        with interrupts_after():
            handle = h5py.File(disk, "w", **options)
            # Closing twice does nothing, so this serves a file that is given up.
            stack.callback(_close, handle)
        output = H5Output(handle, disk, path)
        yield output
        with output.writing():
            handle.close()


def _close(handle: h5py.File) -> None:
    with interrupts_after():
        handle.close()
