from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.policies.row_blocks import ROW_BLOCK, pad_rows


@pytest.mark.parametrize("count", [0, 1, ROW_BLOCK - 1, ROW_BLOCK, ROW_BLOCK + 1])
def test_rows_are_followed_by_zeros_up_to_whole_blocks(count: int) -> None:
    rows = np.ones((count, 3), np.float32)
    padded = pad_rows(rows)
    assert len(padded) % ROW_BLOCK == 0
    assert 0 <= len(padded) - count < ROW_BLOCK
    np.testing.assert_array_equal(padded[:count], rows)
    assert not padded[count:].any()
