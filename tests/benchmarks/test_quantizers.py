"""`unichunk bench quantizers`: which product is nearer to float32."""

from __future__ import annotations

from unichunk.benchmarks.quantizers import BASE, ROWS, measure


def test_blocks_are_nearer_than_one_scale_for_all_rows() -> None:
    table, ratios = measure(((96, 64),), rounds=1)
    assert len(table) == 4 * len(ROWS)
    assert len(ratios) == 3 * len(ROWS)
    for rows in ROWS:
        errors = {product: error for _, count, product, _, _, error in table if count == rows}
        assert errors[BASE] < 1e-5
        assert errors["blocks of 32, float operands"] < errors["blocks of 32"] < errors["dynamic"] < 0.1
