"""What a benchmark says of its machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from unichunk.benchmarks import machine
from unichunk.benchmarks.machine import describe_machine

if TYPE_CHECKING:
    from pathlib import Path

CARDS = "printf 'NVIDIA H100 80GB HBM3, 575.57.08\\nNVIDIA T4, 535.1\\n'"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (CARDS, "NVIDIA H100 80GB HBM3, driver 575.57.08; NVIDIA T4, driver 535.1"),
        ("echo 'No devices were found'; exit 6", None),
        ("echo 'No devices were found'", None),
        ("exec sleep 60", None),
    ],
)
def test_cards_are_named_where_somebody_tells(
    script: str, told: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(machine, "GPU_PATIENCE_S", 10.0 if told else 1.0)
    assert describe_machine().get("gpu") == told


def test_without_the_program_nothing_is_said_of_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "gpu" not in describe_machine()


def test_the_load_is_that_from_before_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    before = describe_machine()["load_average"]
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 99.0, 99.0))
    assert describe_machine()["load_average"] == before
