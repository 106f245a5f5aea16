"""Whole blocks of rows, in which a row's result does not depend on the rows around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROW_BLOCK = 4
"""Networks get a multiple of this many rows.

Matrix products choose their kernels by the number of rows and then differ in the last bit. In whole blocks a row's
result does not depend on the rows around it, so an episode comes out the same in any batch.
"""


def pad_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `rows` (n, P) followed by zeros up to a whole number of blocks."""
    missing = -len(rows) % ROW_BLOCK
    return np.pad(rows, ((0, missing), (0, 0))) if missing else rows
