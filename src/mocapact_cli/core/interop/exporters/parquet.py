"""Parquet files as LeRobot reads them: rolling over to a new file where one is full."""

from __future__ import annotations

import contextlib
import io
import json
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

FILE_BYTES = 100 << 20
FILES_A_CHUNK = 1000


class RollingParquet:
    """Writes tables one after the other to files of bounded size, numbered in chunks; each table is a row group.

    Args:
        folder: The dataset's folder.
        pattern: Path of a file, with `chunk_index` and `file_index`.
        file_bytes: Size at which the next table goes to a new file.
    """

    def __init__(self, folder: Path, pattern: str, file_bytes: int = FILE_BYTES) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pa, self._pq = pa, pq
        self._folder, self._pattern, self._file_bytes = folder, pattern, file_bytes
        self._files = -1
        self._writer: pq.ParquetWriter | None = None
        self._sink: IO[bytes] | None = None

    def begin(self, schema: pa.Schema) -> tuple[int, int]:
        """Return the numbers of the chunk and the file that the next table goes to."""
        if self._sink is not None and self._sink.tell() >= self._file_bytes:
            self.close()
        if self._writer is None:
            self._files += 1
            place = divmod(self._files, FILES_A_CHUNK)
            path = self._folder / self._pattern.format(chunk_index=place[0], file_index=place[1])
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = path.open("wb")
            # Recorded numbers hardly repeat, so dictionaries of them only cost; ranges serve to find episodes.
            scalars = [field.name for field in schema if not self._pa.types.is_nested(field.type)]
            self._writer = self._pq.ParquetWriter(
                self._sink, schema, compression="snappy", use_dictionary=False, write_statistics=scalars
            )
        return divmod(self._files, FILES_A_CHUNK)

    def append(self, table: pa.Table) -> None:
        """Write one table to the file of the last `begin`."""
        assert self._writer is not None, "begin comes first"
        self._writer.write_table(table)

    def close(self) -> None:
        """Finish the file."""
        writer, sink = self._writer, self._sink
        self._writer = self._sink = None
        with contextlib.ExitStack() as stack:
            stack.callback(sink.close if sink is not None else lambda: None)
            if writer is not None:
                writer.close()


def frames_schema(features: Mapping[str, Mapping[str, Any]]) -> pa.Schema:
    """Return the schema of frames, with the note by which the `datasets` library knows images from bytes."""
    import pyarrow as pa

    fields = [pa.field(name, _type(feature)) for name, feature in features.items()]
    note = {"info": {"features": {name: _huggingface(feature) for name, feature in features.items()}}}
    return pa.schema(fields, metadata={"huggingface": json.dumps(note)})


def frames_table(columns: Mapping[str, NDArray[Any]], schema: pa.Schema) -> pa.Table:
    """Return the frames of one episode as a table."""
    import pyarrow as pa

    return pa.Table.from_arrays([_array(columns[field.name], field.type) for field in schema], schema=schema)


def write_tasks(path: Path, tasks: list[str]) -> None:
    """Write the table of tasks, whose text is the index of a pandas frame when LeRobot reads it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    index = "__index_level_0__"
    columns = [
        {
            "name": "task_index",
            "field_name": "task_index",
            "pandas_type": "int64",
            "numpy_type": "int64",
            "metadata": None,
        },
        {"name": None, "field_name": index, "pandas_type": "unicode", "numpy_type": "object", "metadata": None},
    ]
    note = {"index_columns": [index], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    table = pa.table({"task_index": np.arange(len(tasks)), index: tasks})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(note)}), path)


def _type(feature: Mapping[str, Any]) -> pa.DataType:
    import pyarrow as pa

    if feature["dtype"] == "image":
        return pa.struct({"bytes": pa.binary(), "path": pa.string()})
    item = pa.from_numpy_dtype(np.dtype(feature["dtype"]))
    return item if feature["shape"] == [1] else pa.list_(item, feature["shape"][0])


def _huggingface(feature: Mapping[str, Any]) -> dict[str, Any]:
    if feature["dtype"] == "image":
        return {"_type": "Image"}
    item = {"dtype": feature["dtype"], "_type": "Value"}
    return item if feature["shape"] == [1] else {"feature": item, "length": feature["shape"][0], "_type": "Sequence"}


def _array(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.array([{"bytes": _png(image), "path": None} for image in values], kind)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), type=kind)
    return pa.array(values.reshape(len(values)), kind)


def _png(image: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()
