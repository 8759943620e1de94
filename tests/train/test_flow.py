"""The loss looks at the postfix only, and the locked prefix is clean."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from unichunk.runtime.train.flow import flow_loss, locked_rows, noisy_rows  # noqa: E402

DELAY = torch.tensor([0, 3, 7])
TIME = torch.tensor([0.1, 0.5, 0.9])


def rows(seed: int):
    return torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(seed))


def test_what_is_predicted_for_locked_rows_does_not_matter_at_all():
    predicted, clean = rows(1), rows(2)
    loss = flow_loss(predicted, clean, TIME, DELAY)
    for wrong in (1e6, float("nan"), float("inf")):
        spoilt = torch.where(locked_rows(DELAY, 8)[..., None], wrong, predicted)
        assert torch.equal(flow_loss(spoilt, clean, TIME, DELAY), loss)


def test_every_free_row_matters_from_the_first_on():
    predicted, clean = rows(1), rows(2)
    loss = flow_loss(predicted, clean, TIME, DELAY)
    for sample, delay in enumerate(DELAY.tolist()):
        for row in range(8):
            changed = predicted.clone()
            changed[sample, row] += 10.0
            assert torch.equal(flow_loss(changed, clean, TIME, DELAY), loss) == (row < delay)


def test_the_gradient_reaches_free_rows_only():
    predicted = rows(1).requires_grad_()
    flow_loss(predicted, rows(2), TIME, DELAY).backward()
    locked = locked_rows(DELAY, 8)
    assert (predicted.grad[locked] == 0.0).all()
    assert (predicted.grad[~locked] != 0.0).all()


def test_the_loss_is_zero_for_perfect_rows_and_grows_with_time():
    clean = rows(2)
    assert flow_loss(clean, clean, TIME, DELAY) == 0.0
    early, late = (flow_loss(clean + 1.0, clean, torch.full((3,), time), DELAY) for time in (0.0, 0.6))
    assert early == pytest.approx(1.0)
    assert late == pytest.approx(1.0 / 0.4**2, rel=1e-5)


def test_locked_rows_are_clean_at_time_one_and_others_on_the_line():
    clean, noise = rows(2), rows(3)
    noisy, row_time = noisy_rows(clean, noise, TIME, locked_rows(DELAY, 8))
    for sample, delay in enumerate(DELAY.tolist()):
        assert torch.equal(noisy[sample, :delay], clean[sample, :delay])
        assert (row_time[sample, :delay] == 1.0).all()
        assert (row_time[sample, delay:] == TIME[sample]).all()
        line = (1 - TIME[sample]) * noise[sample, delay:] + TIME[sample] * clean[sample, delay:]
        torch.testing.assert_close(noisy[sample, delay:], line)
