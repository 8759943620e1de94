"""What the report says: no more than the data do."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.evaluation.made_results import made_campaign, made_results
from tests.evaluation.report_inputs import small_analysis, small_campaign, small_results
from unichunk.server.evaluation.planning.campaign import Analysis, Blinding, Rules
from unichunk.server.evaluation.report.blocks import Block, Bullets, Callout, Facts, Figure, Heading, Table, Text
from unichunk.server.evaluation.report.content import content
from unichunk.server.evaluation.report.dataset import NOTHING, Exported
from unichunk.server.evaluation.report.page import page
from unichunk.server.evaluation.report.paper import paper
from unichunk.server.evaluation.report.section_front import declared
from unichunk.server.evaluation.report.section_judges import interpretation
from unichunk.server.evaluation.report.section_latency import RunCounts, latency, read_counts
from unichunk.server.evaluation.report.section_limits import limits
from unichunk.server.evaluation.report.verdict import verdict
from unichunk.server.evaluation.statistics.analysis import analyse
from unichunk.server.evaluation.statistics.document import Interval
from unichunk.server.evaluation.statistics.document import Tested as Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from unichunk.server.evaluation.results import Results
    from unichunk.server.evaluation.statistics.document import AnalysisResult


def changed(analysis: AnalysisResult, **changes: Any) -> AnalysisResult:
    return msgspec.structs.replace(analysis, **changes)


def planned(results: Results, **changes: Any) -> Results:
    campaign = msgspec.structs.replace(results.plan.campaign, **changes)
    return dataclasses.replace(results, plan=msgspec.structs.replace(results.plan, campaign=campaign))


def words(blocks: Iterable[Block]) -> str:
    """Everything that they say."""
    found: list[str] = []
    for block in blocks:
        if isinstance(block, (Heading, Text)):
            found.append(block.text)
        elif isinstance(block, Callout):
            found += [block.title, *block.paragraphs]
        elif isinstance(block, Bullets):
            found += block.items
        elif isinstance(block, Facts):
            found += [f"{fact.name} {fact.value}" for fact in block.rows]
        elif isinstance(block, Table):
            found += [str(cell) for row in (block.headers, *block.rows) for cell in row]
        elif isinstance(block, Figure):
            found.append(block.caption)
    return "\n".join(found)


def whole() -> str:
    return words(content(small_results(), small_analysis(), NOTHING).blocks)


def test_the_first_page_has_question_answer_and_what_binds() -> None:
    document = content(small_results(), small_analysis(), NOTHING)
    assert document.question.startswith("Do 2 policies differ in how often they succeed at “stack the cups” and")
    headings = [place for place, block in enumerate(document.blocks) if isinstance(block, Heading) and block.level == 2]
    first = words(document.blocks[: headings[0]])
    plan = small_results().plan
    for wanted in (plan.commitment, plan.frozen_at, plan.campaign_id, plan.signing_key, small_results().log_head):
        assert wanted in first
    assert "Primary test, declared before the first trial: Cochran-Mantel-Haenszel" in first
    assert "20 scored, 3 void; 2023-11-14 22:13:20 UTC to" in first


def test_every_section_is_there() -> None:
    document = content(small_results(), small_analysis(), NOTHING)
    headings = [block.text for block in document.blocks if isinstance(block, Heading) and block.level == 2]
    assert headings[:17] == [
        "Success",
        "Pairs of policies",
        "Sequential test",
        "Posteriors",
        "Preferences",
        "Second raters",
        "Blinding",
        "Void trials",
        "Deviations",
        "Order and drift",
        "Pace of the policies",
        "Other readings of the data",
        "What cannot be concluded",
        "The plan",
        "How to check this",
        "Recordings",
        "Methods",
    ]
    assert "Operators' notes" in headings


def test_a_difference_is_told_with_its_size() -> None:
    said = verdict(small_analysis())
    assert said.title == "The policies differ in how often they succeed."
    text = "\n".join(said.paragraphs)
    assert "p1 over p0 by" in text
    assert "95% interval +" in text
    assert "redrawing the plan's own order" in text


def test_no_difference_is_not_told_as_equality() -> None:
    analysis = small_analysis()
    tested = msgspec.structs.replace(analysis.omnibus, p=0.4, rejects=False)
    said = verdict(changed(analysis, omnibus=tested))
    assert said.title == "No difference in success was shown."
    assert "does not show that they are equal" in said.paragraphs[-1]
    assert "stay possible" in said.paragraphs[-1]


def test_an_incomplete_plan_concludes_nothing() -> None:
    analysis = changed(small_analysis(), trials=19)
    assert verdict(analysis).title == "The plan is not complete, so nothing is concluded."
    assert "The sequential test alone may be read now" in words(limits(small_results(), analysis))


def test_a_test_that_could_not_be_computed_is_not_read() -> None:
    analysis = changed(small_analysis(), omnibus=Outcome(name="CMH", p=None, note="one policy only"))
    assert verdict(analysis).title.startswith("The primary test could not be computed")
    assert verdict(analysis).paragraphs == ("one policy only",)


def test_a_disagreeing_randomization_test_is_said() -> None:
    analysis = changed(small_analysis(), randomization=Outcome(name="x", p=0.3))
    assert "does not agree: p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}0.3" in verdict(analysis).paragraphs[0]
    assert "more than drift" in words(limits(small_results(), analysis))


def test_a_pair_that_only_the_primary_test_tells_apart_is_warned_of() -> None:
    analysis = small_analysis()
    pair = msgspec.structs.replace(analysis.pairs[0], randomization=Outcome(name="x", p=0.2, adjusted=0.2))
    assert pair.cmh.rejects
    text = words(limits(small_results(), changed(analysis, pairs=(pair,))))
    assert "That p0 and p1 differ whatever drifted" in text
    assert "whatever drifted" not in words(limits(small_results(), analysis))


def test_who_kept_the_pace_is_told_by_policy(tmp_path: Path) -> None:
    results = small_results()
    assert read_counts(None, results) == {}
    for trial in results.trials[1:]:
        slow = trial.policy == "p0"
        counted = {"chunks": 9, "intact": 9, "missed": int(slow), "underruns": 2 * slow}
        (tmp_path / f"{trial.trial}.json").write_text(json.dumps(counted))
    (tmp_path / f"{results.trials[1].trial}.json").write_text("cut o")
    counts = read_counts(tmp_path, results)
    assert len(counts) == 18
    table = next(block for block in latency(results, counts) if isinstance(block, Table))
    own = sum(trial.policy == "p0" and trial.trial in counts for trial in results.trials)
    assert table.rows[0][1:] == (str(own), str(9 * own), str(own), "0", str(2 * own), "0", "0", "10%")
    assert table.rows[1][3] == "0"
    assert "worse for its speed" in words(latency(results, counts))
    even = {trial: RunCounts(chunks=3) for trial in counts}
    assert "No chunk came too late" in words(latency(results, even))


def test_several_pairs_are_told_after_holm() -> None:
    results = made_results(made_campaign(3, 2, 10), (0.05, 0.5, 0.95), seed=1)
    text = "\n".join(verdict(analyse(results)).paragraphs)
    assert "Of 3 declared pairs, after Holm's correction" in text
    assert "p2 over p0" in text


def test_the_plan_is_told_as_declared() -> None:
    campaign = small_campaign(
        blinding=Blinding(equalized_ticks=3, on_miss="late", guesses=False),
        rules=Rules(policy_death="failure", second_rater=True),
        analysis=Analysis(pairs="baseline", baseline="p1", sequential=False),
    )
    text = "\n".join(declared(campaign))
    assert "5 trials for each policy on each layout, 20 in all" in text
    assert "takes effect 3 ticks after its observation" in text
    assert "takes effect when it comes" in text
    assert "whose policy died: counted as a failure" in text
    assert "each policy against p1" in text
    assert "looking early: no" in text
    assert "Operators guess the policy: no" in text


def test_limits_follow_the_plan() -> None:
    results = small_results()
    assert "their latencies were not equalized" in words(limits(results, small_analysis()))
    held = planned(results, blinding=Blinding(equalized_ticks=4, guesses=False))
    text = words(limits(held, small_analysis()))
    assert "all were held to 4 ticks" in text
    assert "they were not asked" in text
    policies = results.plan.campaign.policies
    served = (msgspec.structs.replace(policies[0], source="openpi+ws://10.0.0.7:8000"), policies[1])
    assert "That p0 ran what it is called" in words(limits(planned(results, policies=served), small_analysis()))


def test_an_emergency_unblinding_is_said_everywhere_it_matters() -> None:
    results = small_results()
    trials = (dataclasses.replace(results.trials[0], unblinded=True), *results.trials[1:])
    text = words(content(dataclasses.replace(results, trials=trials), small_analysis(), NOTHING).blocks)
    assert "1 trial was unblinded in an emergency before being judged." in text
    assert "That every score was blind" in text


def test_voids_deviations_and_notes_are_listed() -> None:
    text = whole()
    assert text.count("the camera fell") == len(small_results().voids)
    assert "by 3.2 s" in text
    assert "unblinding confirmed" in text
    assert "<script>alert(1)</script> & <b>" in text


def test_blinding_is_read_with_care() -> None:
    index = small_analysis().blinding
    assert index is not None
    fine = msgspec.structs.replace(index, recognized=Outcome(name="x", p=0.6))
    assert "does not prove that blinding was complete" in interpretation(fine, 0.05)
    one = msgspec.structs.replace(index.policies[0], bang=0.5, interval=Interval(low=0.2, high=0.8))
    known = msgspec.structs.replace(
        index, recognized=Outcome(name="x", p=0.001, rejects=True), policies=(one, *index.policies[1:])
    )
    said = interpretation(known, 0.05)
    assert "right more often than by chance (most clearly p0" in said
    assert "guesses were given when the outcome was known" in said
    nobody = msgspec.structs.replace(index, recognized=Outcome(name="x", p=None, note="all say the same"))
    assert "cannot be said: all say the same" in interpretation(nobody, 0.05)


def test_recordings_that_were_left_out_are_named() -> None:
    text = words(content(small_results(), small_analysis(), Exported(18, 1, (("t0003", "no picture"),))).blocks)
    assert (
        "18 episodes, for 20 trials that count. Of 1 trial nothing was recorded. 1 recording could not be used." in text
    )
    assert "t0003" in text
    assert "no picture" in text


@pytest.mark.parametrize("amount", [0, 1, 6])
def test_reports_of_very_little_can_be_written(amount: int) -> None:
    results = made_results(made_campaign(2, 1, 3), (1.0, 1.0))
    bare: dict[str, Any] = {"voids": (), "second_scores": (), "guesses": (), "preferences": ()}
    results = dataclasses.replace(results, trials=results.trials[:amount], **bare)
    document = content(results, analyse(results), NOTHING)
    assert "No trial was judged a second time" in words(document.blocks)
    assert page(document).endswith("</html>")
    assert paper(document).startswith(b"%PDF")


def test_problems_are_on_the_first_page_and_all_of_them_at_the_end() -> None:
    pair = small_analysis().pairs[0]
    problems = tuple(f"{pair.first} against {pair.second}: thing {index}" for index in range(9))
    analysis = changed(small_analysis(), problems=(*problems, "the whole is strange"))
    document = content(small_results(), analysis, NOTHING)
    warning = next(block for block in document.blocks if isinstance(block, Callout) and block.tone == "warning")
    assert warning.paragraphs[0] == "the whole is strange"
    assert warning.paragraphs[-1] == "4 more remarks, see the end"
    assert isinstance(document.blocks[-1], Bullets)
    assert document.blocks[-1].items == analysis.problems


def test_many_policies_with_long_names_fit() -> None:
    """Tables, plots and lists that are longer or wider than a sheet; numbers of a smaller campaign stand in."""
    base = small_analysis()
    names = tuple(f"a policy with a name of sixty four letters for which nobody asks {i:02d}"[-64:] for i in range(9))
    pair, cell = base.pairs[0], base.success[0]
    pairs = tuple(
        msgspec.structs.replace(pair, first=first, second=second)
        for place, first in enumerate(names)
        for second in names[place + 1 :]
    )
    layouts = tuple(f"layout with a name that is rather long {index}" for index in range(24))
    cells = tuple(msgspec.structs.replace(cell, policy=name) for name in names)
    by_layout = tuple(msgspec.structs.replace(one, task="stack", layout=layout) for layout in layouts for one in cells)
    posteriors = tuple(msgspec.structs.replace(base.posteriors[0], policy=name) for name in names)
    analysis = changed(
        base,
        policies=names,
        success=cells,
        by_task=(),
        by_layout=by_layout,
        rubric=(),
        pairs=pairs,
        posteriors=posteriors,
        preferences=None,
        agreement=(),
        blinding=None,
        sensitivity=tuple(msgspec.structs.replace(one, success=cells, pairs=()) for one in base.sensitivity),
    )
    results = dataclasses.replace(small_results(), trials=(), voids=())
    policies = tuple(
        msgspec.structs.replace(results.plan.campaign.policies[0], name=name, sha256=f"{place:064x}")
        for place, name in enumerate(names)
    )
    document = content(planned(results, policies=policies), analysis, NOTHING)
    assert len([block for block in document.blocks if isinstance(block, Figure)]) == 9
    assert paper(document).startswith(b"%PDF")
