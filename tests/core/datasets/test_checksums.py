from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mocapact_cli.core.datasets import checksums, schema

VALUES = arrays.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]), arrays.array_shapes(min_side=0, max_dims=3)
)


@given(VALUES, st.integers(1, 4))
def test_blocks_of_rows_give_the_checksum_of_the_whole(values: np.ndarray, step: int) -> None:
    blocks = (values[first : first + step] for first in range(0, len(values), step))
    assert checksums.of_blocks(values.dtype, values.shape, blocks) == checksums.of_array(values)


@given(VALUES, st.data())
def test_every_bit_counts(values: np.ndarray, data: st.DataObject) -> None:
    if values.size == 0:
        return
    changed = values.copy().reshape(-1).view(np.uint8)
    place, bit = data.draw(st.integers(0, len(changed) - 1)), data.draw(st.integers(0, 7))
    changed[place] ^= 1 << bit
    assert checksums.of_array(changed.view(values.dtype).reshape(values.shape)) != checksums.of_array(values)


def test_type_shape_and_attributes_count() -> None:
    zeros = np.zeros(4, np.float32)
    seen = {
        checksums.of_array(zeros),
        checksums.of_array(zeros.view(np.int32)),
        checksums.of_array(zeros.reshape(2, 2)),
        checksums.of_array(np.zeros((), np.float32)),
        checksums.of_blocks(zeros.dtype, zeros.shape, [zeros], {"unit": "m"}),
        checksums.of_blocks(zeros.dtype, zeros.shape, [zeros], {"unit": b"m"}),
        checksums.of_blocks(zeros.dtype, zeros.shape, [zeros], {"unit": np.float64(1)}),
        checksums.of_blocks(zeros.dtype, zeros.shape, [zeros], {"unit": np.float32(1)}),
        checksums.of_blocks(zeros.dtype, zeros.shape, [zeros], {"unit": h5py.Empty("f4")}),
    }
    assert len(seen) == 9


def test_every_array_stands_in_the_table_of_one_group(rolls, tmp_path: Path) -> None:
    rolls.write(tmp_path / "walk.hdf5", ["walk-0-9", "walk-5-20"])
    listed: list[str] = []
    found: list[str] = []

    def visit(name: str, item: h5py.HLObject) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(name)
        elif schema.CHECKSUMS in item.attrs:
            listed.extend(f"{name}/{path}" for path in checksums.read_checksums(item))

    with h5py.File(tmp_path / "walk.hdf5") as file:
        file.visititems(visit)
        listed += checksums.read_checksums(file)
        assert {spec.name for spec in schema.FILE_ATTRIBUTES if spec.required} < set(file.attrs)
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize("shape", [(3, 64, 64, 3), (0, 64, 64, 3)])
def test_images_are_compressed_one_by_one_and_the_rest_lies_contiguous(shape: tuple[int, ...], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        images = file.create_dataset("images", data=np.zeros(shape, np.uint8), **schema.IMAGES.options(shape))
        assert images.chunks == ((1, 64, 64, 3) if shape[0] else None)
        assert file.create_dataset("rest", data=np.zeros(shape), **schema.CONTIGUOUS.options(shape)).chunks is None
    assert str(schema.IMAGES) == "row by row, gzip 4"
