"""What the log has besides scores and voids."""

from __future__ import annotations

from unichunk.server.evaluation.ledger.commands import (
    Arm,
    ClockJumped,
    Command,
    ConfirmUnblinding,
    CountAsFailure,
    EndedEarly,
    Interrupt,
    Looked,
    Note,
    ProposeUnblinding,
)
from unichunk.server.evaluation.ledger.entry import Entry
from unichunk.server.evaluation.store.deviations import deviations_of


def test_the_log_tells_what_deviated_in_its_order() -> None:
    commands: list[Command] = [
        Arm(trial="t"),
        Interrupt(trial="t", code="policy lost"),
        CountAsFailure(trial="t"),
        ProposeUnblinding(trial="u", reason="smoke from the arm"),
        ConfirmUnblinding(trial="u"),
        ClockJumped(by_s=-3.25),
        Note(trial="u", text="lamp replaced"),
        Looked(scored=5),
        EndedEarly(reason="the robot broke"),
    ]
    entries = [
        Entry(seq=index + 1, at_ns=index, boot="", mono_ns=0, actor="ann", role=None, key=f"k{index}", command=command)
        for index, command in enumerate(commands)
    ]
    found = deviations_of(entries)
    assert [(one.at, one.kind, one.trial, one.detail) for one in found] == [
        (1, "interrupted", "t", "policy lost"),
        (2, "counted as failure", "t", ""),
        (3, "unblinding proposed", "u", "smoke from the arm"),
        (4, "unblinding confirmed", "u", ""),
        (5, "clock jumped", "", "by -3.25 s"),
        (6, "note", "u", "lamp replaced"),
        (7, "looked", "", "at the sequential test, after 5 scored trials"),
        (8, "ended early", "", "the robot broke"),
    ]
    assert {one.by for one in found} == {"ann"}
