"""Campaigns with a store, quickly: the databases are made once and copied."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.evaluation.small_campaign import Small, small, write_folder
from unichunk.benchmarks.evaluated.tampering import make_campaign
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Campaigns:
    """Makes copies of campaigns: a `fresh` one, one `halfway`, one `complete` and opened, and one `ended` early."""

    folder: Path

    def __post_init__(self) -> None:
        self._made: dict[str, Small] = {}

    def copy(self, kind: str, to: Path) -> Small:
        """A campaign in the folder `to`, which must not be there."""
        template = self.folder / kind
        if kind not in self._made:
            self._made[kind] = self._make(kind, template)
        shutil.copytree(template, to)
        return self._made[kind]

    @contextlib.contextmanager
    def opened(self, kind: str, to: Path) -> Iterator[EvaluationStore]:
        """The same, opened by its service."""
        campaign = self.copy(kind, to)
        with contextlib.closing(EvaluationStore.open(to, campaign.secrets)) as store:
            yield store

    def _make(self, kind: str, folder: Path) -> Small:
        if kind != "fresh":
            return make_campaign(folder, complete=kind == "complete", ended=kind == "ended")
        campaign = small()
        write_folder(campaign, folder)
        EvaluationStore.create(folder, campaign.plan, campaign.secrets).close()
        return campaign
