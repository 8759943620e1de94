"""The loss looks at the postfix only, the locked prefix is clean, and times are those the sampler visits."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from unichunk.runtime.train.flow import flow_errors, locked_rows, noisy_rows, sample_times  # noqa: E402

DELAY = torch.tensor([0, 3, 7])
TIME = torch.tensor([0.1, 0.5, 0.9])


OWN = torch.ones(3, 2, dtype=torch.bool)


def flow_loss(velocity, clean, noise, delay):
    """What is minimized where every slot is the robot's own."""
    own, other = flow_errors(velocity, clean, noise, delay, OWN)
    assert (other == 0.0).all()
    return own.mean()


def rows(seed: int):
    return torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(seed))


def test_what_is_predicted_for_locked_rows_does_not_matter_at_all():
    velocity, clean, noise = rows(1), rows(2), rows(3)
    loss = flow_loss(velocity, clean, noise, DELAY)
    for wrong in (1e6, float("nan"), float("inf")):
        spoilt = torch.where(locked_rows(DELAY, 8)[..., None], wrong, velocity)
        assert torch.equal(flow_loss(spoilt, clean, noise, DELAY), loss)


def test_every_free_row_matters_from_the_first_on():
    velocity, clean, noise = rows(1), rows(2), rows(3)
    loss = flow_loss(velocity, clean, noise, DELAY)
    for sample, delay in enumerate(DELAY.tolist()):
        for row in range(8):
            changed = velocity.clone()
            changed[sample, row] += 10.0
            assert torch.equal(flow_loss(changed, clean, noise, DELAY), loss) == (row < delay)


def test_the_gradient_reaches_free_rows_only():
    velocity = rows(1).requires_grad_()
    flow_loss(velocity, rows(2), rows(3), DELAY).backward()
    locked = locked_rows(DELAY, 8)
    assert (velocity.grad[locked] == 0.0).all()
    assert (velocity.grad[~locked] != 0.0).all()


def test_the_loss_is_zero_for_the_straight_way_and_one_for_one_unit_off():
    clean, noise = rows(2), rows(3)
    assert flow_loss(clean - noise, clean, noise, DELAY) == 0.0
    assert flow_loss(clean - noise + 1.0, clean, noise, DELAY) == pytest.approx(1.0, rel=1e-5)


def test_slots_of_other_robots_count_apart():
    clean, noise = rows(2), rows(3)
    own = torch.tensor([[True, False], [False, True], [True, True]])
    clean, noise = clean * own[:, None], noise * own[:, None]
    off = torch.where(own, 2.0, 3.0)[:, None].expand(-1, 8, -1)
    mine, other = flow_errors(clean - noise + off, clean, noise, DELAY, own)
    torch.testing.assert_close(mine, torch.full((3,), 4.0))
    torch.testing.assert_close(other, torch.tensor([9.0, 9.0, 0.0]))


def test_locked_rows_are_clean_at_time_one_and_others_on_the_line():
    clean, noise = rows(2), rows(3)
    noisy, row_time = noisy_rows(clean, noise, TIME, locked_rows(DELAY, 8))
    for sample, delay in enumerate(DELAY.tolist()):
        assert torch.equal(noisy[sample, :delay], clean[sample, :delay])
        assert (row_time[sample, :delay] == 1.0).all()
        assert (row_time[sample, delay:] == TIME[sample]).all()
        line = (1 - TIME[sample]) * noise[sample, delay:] + TIME[sample] * clean[sample, delay:]
        torch.testing.assert_close(noisy[sample, delay:], line)


def test_times_are_in_range_and_mostly_on_the_samplers_grid():
    torch.manual_seed(0)
    times = sample_times(4000, 5)
    assert ((times >= 0.0) & (times < 1.0)).all()
    on_grid = ((5 * times - (5 * times).round()).abs() < 1e-6).float().mean()
    assert 0.6 < on_grid < 0.8
    assert len(set((5 * times[(5 * times).frac() < 1e-6]).tolist())) == 5
