"""Looking at the sequential test before the plan is complete, and ending a campaign there."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.evaluation.made_results import made_campaign, made_trials
from tests.evaluation.served_campaign import make_served
from tests.evaluation.small_campaign import ADA, ANN, small, write_folder
from tests.evaluation.store_bench import Campaigns
from tests.evaluation.test_eval_commands import refusal, said
from unichunk.benchmarks.evaluated import tampering
from unichunk.server.eval_look_command import EvalLook
from unichunk.server.eval_status_command import EvalStatus
from unichunk.server.eval_unblind_command import EvalUnblind
from unichunk.server.eval_verify_command import EvalVerify
from unichunk.server.evaluation.errors import NotNow, Tampered
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.actor import SERVER, Actor
from unichunk.server.evaluation.look import look, seen_pairs
from unichunk.server.evaluation.planning.campaign import Analysis
from unichunk.server.evaluation.planning.commitment import commitment_of, schedule_of
from unichunk.server.evaluation.planning.load import load_plan, load_secrets, policy_of
from unichunk.server.evaluation.planning.opening import load_unblinded, open_sealed, unblind
from unichunk.server.evaluation.report.blocks import Callout
from unichunk.server.evaluation.report.content import content
from unichunk.server.evaluation.report.dataset import NOTHING
from unichunk.server.evaluation.report.page import page
from unichunk.server.evaluation.statistics.analysis import analyse
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore
from unichunk.server.evaluation.store.results import results_of
from unichunk.server.evaluation.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unichunk.server.evaluation.results import Results

K = 10
"""Trials of each policy; the first policy always succeeds, the second one never."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frozen, with 4 of 20 trials scored."""
    folder = tmp_path_factory.mktemp("begun")
    run(make_served(folder, per_cell=K).folder, 4)
    return folder


@pytest.fixture
def campaign(begun: Path, tmp_path: Path) -> Path:
    shutil.copytree(begun, tmp_path / "copy")
    return tmp_path / "copy" / "campaign"


def key_of(campaign: Path) -> Path:
    return campaign.parent / "admin.key"


@contextlib.contextmanager
def served(campaign: Path) -> Iterator[EvaluationStore]:
    with contextlib.closing(EvaluationStore.open(campaign, load_secrets(campaign))) as store:
        yield store


def run(campaign: Path, trials: int) -> None:
    """Run and score the next trials."""
    plan, secrets = load_plan(campaign), load_secrets(campaign)
    with served(campaign) as store:
        for _ in range(trials):
            trial = store.next_trial()
            assert trial is not None
            for command in (
                c.Lease(trial=trial.id, robot="arm-1"),
                c.Arm(trial=trial.id),
                c.Start(trial=trial.id),
                c.End(trial=trial.id, cause="operator", duration_s=1.0),
                c.GiveScore(trial=trial.id, success=policy_of(plan, secrets, trial.slot) == 0),
            ):
                store.apply(ANN, command, f"{command.__struct_config__.tag}/{trial.id}".replace(" ", "-"))


def files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def results(campaign: Path) -> Results:
    unblinded = load_unblinded(campaign)
    assert unblinded is not None
    with contextlib.closing(EvaluationStore.open(campaign)) as store:
        return results_of(store, dict(enumerate(unblinded.policies)))


def test_a_look_shows_the_sequential_test_alone(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, output, errors = said(EvalLook(campaign, key_of(campaign), by="ada"), capsys)
    assert (status, errors) == (0, "")
    # Two pairs, both for the same policy: 2^2 2! 0! / 3! = 4 / 3.
    assert output.splitlines() == [
        "served: 4 of 20 trials scored; look 1, recorded in the log",
        "sequential test, level 0.05 for all declared pairs together (Holm):",
        "  waving against told  e-value 1.33, largest 1.33, threshold 20: not crossed",
        "to end here: unichunk eval unblind --end-early REASON; the fixed-sample tests need the whole plan",
    ]
    run(campaign, 12)
    status, output, _ = said(EvalLook(campaign, key_of(campaign)), capsys)
    # Eight pairs: 2^8 / 9.
    assert "16 of 20 trials scored; look 2" in output
    assert "e-value 28.4, largest 28.4, threshold 20: crossed" in output


@pytest.mark.parametrize(
    ("middle", "expected"),
    [
        (0.5, [("p0", "p1", 3.2, 40, False), ("p0", "p2", 315.1, 60, True), ("p1", "p2", 28.4, 40, False)]),
        (0.3, [("p0", "p1", 2.0, 20, False), ("p0", "p2", 315.1, 60, True), ("p1", "p2", 51.2, 40, True)]),
    ],
)
def test_thresholds_go_down_as_pairs_reach_theirs(
    middle: float, expected: list[tuple[str, str, float, int, bool]]
) -> None:
    campaign = made_campaign(3, 1, 12)
    seen = seen_pairs(campaign, made_trials(campaign, (0.0, middle, 1.0)))
    assert [
        (pair.first, pair.second, round(pair.largest, 1), round(pair.threshold), pair.crossed) for pair in seen
    ] == expected
    nothing = seen_pairs(campaign, ())
    assert {(pair.e_value, round(pair.threshold), pair.crossed) for pair in nothing} == {(1.0, 60, False)}


def test_a_look_leaves_nothing_on_disk_but_that_it_was(campaign: Path) -> None:
    before = files(campaign)
    opening = open_sealed(campaign, key_of(campaign))
    look(campaign, key_of(campaign), by="ada")
    after = files(campaign)
    touched = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert touched == {"evaluation.db", "head.json"}
    names = [f'"policy":{policy}' for policy in schedule_of(load_plan(campaign), opening)]
    for name in touched:
        content = (campaign / name).read_bytes()
        for secret in (opening.seed, opening.salt, opening.map_key):
            assert secret.encode() not in content
            assert bytes.fromhex(secret) not in content
        assert not any(policy.encode() in content for policy in (*names, "waving against", "e-value"))
    verified = verify(campaign)
    assert (verified.scored, verified.opened, verified.ended, verified.commitment_opened) == (4, False, None, False)
    with contextlib.closing(EvaluationStore.open(campaign)) as store:
        last = store.events(store.head().seq - 1)[-1].entry
    assert (last.actor, last.command) == ("ada", c.Looked(scored=4))


def test_looks_that_are_refused(campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = EvalLook(campaign, key_of(campaign))
    before = files(campaign)
    with served(campaign):
        assert "another process runs this campaign" in refusal(command, capsys)[1]
    other = make_served(tmp_path).folder
    assert refusal(EvalLook(campaign, key_of(other)), capsys)[0] == 3
    assert refusal(EvalLook(tmp_path / "none", key_of(other)), capsys)[0] == 3
    assert files(campaign) == before
    unblind(campaign, key_of(campaign), end_early="the robot broke")
    assert "was opened: `unichunk eval report`" in refusal(command, capsys)[1]


def test_no_look_that_the_plan_did_not_declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = small()
    plan = declared.plan
    analysis = msgspec.structs.replace(plan.campaign, analysis=Analysis(sequential=False))
    plan = msgspec.structs.replace(plan, campaign=analysis)
    seed, salt = bytes.fromhex(declared.opening.seed), bytes.fromhex(declared.opening.salt)
    plan = msgspec.structs.replace(plan, commitment=commitment_of(plan, seed, salt))
    folder = write_folder(type(declared)(plan, declared.secrets, declared.opening), tmp_path / "campaign")
    EvaluationStore.create(folder, plan, declared.secrets).close()
    monkeypatch.setattr("unichunk.server.evaluation.look.open_sealed", lambda *_: declared.opening)
    monkeypatch.setattr("unichunk.server.evaluation.look.load_secrets", lambda _: declared.secrets)
    with pytest.raises(NotNow, match="no sequential test"):
        look(folder, tmp_path / "admin.key")
    assert verify(folder).head.seq == 0


def test_ended_early_from_the_command_line(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = key_of(campaign)
    assert "16 of 20 trials have no score yet" in refusal(EvalUnblind(campaign, key), capsys)[1]
    assert "length >= 3" in refusal(EvalUnblind(campaign, key, end_early=""), capsys)[1]
    with served(campaign) as store:
        trial = store.next_trial()
        assert trial is not None
        store.apply(ANN, c.Lease(trial=trial.id, robot="arm-1"), "taken")
    line = refusal(EvalUnblind(campaign, key, end_early="the robot broke"), capsys)[1]
    assert f"ann has trial {trial.id} (leased): finish it first" in line
    assert not (campaign / "unblinded.json").exists()
    with served(campaign) as store:
        store.apply(ANN, c.Release(trial=trial.id), "given-back")
    status, output, _ = said(EvalUnblind(campaign, key, by="ada", end_early="the robot\nbroke"), capsys)
    assert (status, "its seed opens commitment" in output) == (0, True)
    # Once more, with or without the reason: it is what it is.
    assert said(EvalUnblind(campaign, key), capsys)[0] == 0
    assert said(EvalUnblind(campaign, key, end_early="another reason"), capsys)[0] == 0
    status, output, errors = said(EvalVerify(campaign), capsys)
    assert (status, errors) == (0, "")
    assert "verified: 4 of 20 trials scored, ended early by ada: 'the robot\\nbroke', 0 void" in output
    assert "opened; ended early by ada: 'the robot\\nbroke'" in said(EvalStatus(campaign), capsys)[1]


def test_what_the_report_says_first(campaign: Path) -> None:
    look(campaign, key_of(campaign), by="ada")
    with served(campaign) as store:
        trial = store.next_trial()
        assert trial is not None
        steps: tuple[tuple[Actor, c.Command], ...] = (
            (ANN, c.Lease(trial=trial.id, robot="arm-1")),
            (ANN, c.Arm(trial=trial.id)),
            (SERVER, c.Interrupt(trial=trial.id, code="robot lost")),
        )
        for actor, command in steps:
            store.apply(actor, command, f"{command.__struct_config__.tag}/{trial.id}")
    unblind(campaign, key_of(campaign), by="ada", end_early="the robot broke")
    found = results(campaign)
    assert found.ended_early is not None
    assert (found.ended_early.by, found.ended_early.looks, len(found.trials)) == ("ada", 1, 4)
    # A trial that was cut off and that nobody voided is not passed over.
    assert [(void.trial, void.cause) for void in found.voids] == [(trial.id, "robot lost")]
    analysis = analyse(found)
    assert analysis.problems[0].startswith("the plan was not completed, it was ended early after 4 of 20 trials: ")
    assert (
        "are not valid as declared if the end depended on the data; the sequential test is what" in analysis.problems[0]
    )
    document = content(found, analysis, NOTHING)
    first, answer = document.blocks[:2]
    assert isinstance(first, Callout)
    assert isinstance(answer, Callout)
    assert (first.tone, first.title) == ("warning", "The plan was not completed.")
    assert "Cochran-Mantel-Haenszel, randomization, Barnard, Fisher" in first.paragraphs[0]
    assert first.paragraphs[1] == (
        "ada ended it after 1 look at the sequential test. The reason that was given: “the robot broke”"
    )
    assert answer.title == "Before its early end no difference in success was shown."
    html = page(document)
    assert html.index("The plan was not completed.") < html.index(answer.title)
    assert "at the sequential test, after 4 scored trials" in html
    assert "Not valid as declared if the end depended on the data." in html
    assert "could not be computed" not in answer.title


def test_what_the_sequential_test_has_decided_is_the_answer(campaign: Path) -> None:
    run(campaign, 12)
    unblind(campaign, key_of(campaign), end_early="the e-value has reached its threshold")
    document = content(results(campaign), analyse(results(campaign)), NOTHING)
    answer = document.blocks[1]
    assert isinstance(answer, Callout)
    assert answer.title == "By the sequential test, policies differ in how often they succeed."
    assert "waving and told (largest e-value 28.4, adjusted" in answer.paragraphs[0]


def test_nothing_of_an_early_end_can_be_changed(tmp_path: Path) -> None:
    """Its last events, one by one: the look, the end and the opening."""
    original = tmp_path / "original"
    ended = Campaigns(tmp_path / "made").copy("ended", original)
    verified = verify(original)
    assert verified.ended is not None
    assert (verified.ended.by, verified.opened, verified.commitment_opened) == ("eve", True, True)
    assert verified.scored == 4
    wanted = {
        *(f"{what} events.{column}" for what in ("change", "swap") for column in ("body", "hash", "previous")),
        "delete events",
        "insert events",
    }
    kinds: dict[str, list[tampering.Case]] = {}
    for case in tampering.cases(original):
        if (name := f"{case.what} {case.where}") in wanted:
            kinds.setdefault(name, []).append(case)
        elif case.what in {"move", "cut"}:
            kinds.setdefault(case.what, []).append(case)
    assert wanted < kinds.keys()
    for name, alike in kinds.items():
        for case in alike[-3 if name in {"change events.body", "cut"} else -1 :]:
            assert tampering.is_found(original, tmp_path / "copy", case) is not False, name
    assert ended.plan.campaign_id == verified.campaign_id


def test_a_seal_that_was_opened_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed with the service's own key: an opening before the end could not have happened."""
    folder = tmp_path / "campaign"
    fresh = Campaigns(tmp_path / "made").copy("fresh", folder)
    with monkeypatch.context() as patched, contextlib.closing(EvaluationStore.open(folder, fresh.secrets)) as store:
        patched.setattr(type(store.book), "complete", property(lambda _: True))
        store.apply(ADA, c.Opened(), "open")
    with pytest.raises(Tampered, match="could not have happened: opened: 0 of 4"):
        verify(folder)
