"""Each kind of head once, compiled, for all tests here."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.heads.models import Case

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]

DENOISING = ("flow", "ddim", "unguided", "masked")


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """A case by its kind, made when first asked for."""
    import torch

    from tests.heads.models import Case

    torch.set_num_threads(1)
    return cache(lambda kind: Case(tmp_path_factory.mktemp(kind), kind))


@pytest.fixture(params=[*DENOISING, "regression"])
def case(request: pytest.FixtureRequest, cases: Callable[[str], Case]) -> Case:
    """Each kind."""
    return cases(request.param)


@pytest.fixture(params=DENOISING)
def denoising(request: pytest.FixtureRequest, cases: Callable[[str], Case]) -> Case:
    """Each kind that can lock."""
    return cases(request.param)
