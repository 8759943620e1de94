"""Values that messages may hold, for properties."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

_TYPES = st.sampled_from(
    ["|b1", "|i1", "|u1", "<i2", "<u2", ">i4", "<u4", "<i8", ">u8", "<f2", "<f4", ">f4", "<f8", "<U3"]
)

ARRAYS = hnp.arrays(
    _TYPES.map(np.dtype),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    # Text without surrogates, which no message may hold.
    elements={"alphabet": st.characters(exclude_categories=["Cs"])},
    fill=st.nothing(),
)
NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.binary(max_size=40),
)
SCALARS = _TYPES.filter(lambda text: "U" not in text).flatmap(
    lambda text: hnp.from_dtype(np.dtype(text)).map(np.dtype(text).type)
)


def trees(leaves: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Maps and lists of leaves."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
        max_leaves=8,
    )
