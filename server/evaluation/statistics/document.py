"""What the analysis of a campaign found, as one document that can be written as JSON.

A number that cannot be computed is None, and the `note` beside it says why. Intervals have the level `confidence` of
the document, p-values are two-sided, and `adjusted` is after Holm over the declared pairs.
"""

from __future__ import annotations

from typing import Final

import msgspec

FORMAT: Final = 1


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Interval(_Part, frozen=True, kw_only=True):
    """From low to high, both included."""

    low: float
    high: float


class Rate(_Part, frozen=True, kw_only=True):
    """How often something came out.

    Attributes:
        successes: So many.
        trials: Of so many.
        rate: Their ratio; None of no trials.
        wilson: Score interval (Wilson 1927); None of no trials.
        clopper_pearson: Exact interval (Clopper & Pearson 1934), never too short; None of no trials.
    """

    successes: int
    trials: int
    rate: float | None
    wilson: Interval | None
    clopper_pearson: Interval | None


class CellRate(_Part, frozen=True, kw_only=True):
    """Success of a policy, on one task or layout or on all.

    Attributes:
        policy: Name.
        task: Name; empty for all.
        layout: Name; empty for all.
        success: Of the whole task.
    """

    policy: str
    task: str
    layout: str
    success: Rate


class RubricRate(_Part, frozen=True, kw_only=True):
    """How often a policy did one of a task's sub-tasks."""

    policy: str
    task: str
    item: str
    done: Rate


class Posterior(_Part, frozen=True, kw_only=True):
    """Belief about a policy's success after the campaign, from Jeffreys' prior Beta(1/2, 1/2); layouts pooled.

    Attributes:
        policy: Name.
        a: First parameter of the Beta distribution.
        b: Second one.
        mean: Its mean.
        credible: Equal-tailed interval.
        best: Probability that this policy is the best of all.
    """

    policy: str
    a: float
    b: float
    mean: float
    credible: Interval
    best: float


class Tested(_Part, frozen=True, kw_only=True):
    """A test of no difference.

    Attributes:
        name: Which test.
        p: p-value; None where it cannot be computed.
        adjusted: After Holm over the declared pairs; None where there is nothing to adjust, or no p-value.
        rejects: Whether `adjusted` (or `p`, where nothing is adjusted) is at most alpha.
        statistic: Of the test; None for those without.
        degrees: Degrees of freedom; None for exact tests.
        note: What could not be computed and why, or what to mind; often empty.
    """

    name: str
    p: float | None
    adjusted: float | None = None
    rejects: bool = False
    statistic: float | None = None
    degrees: int | None = None
    note: str = ""


class OddsRatio(_Part, frozen=True, kw_only=True):
    """The common odds ratio over layouts, first policy to second (Mantel & Haenszel 1959).

    Attributes:
        estimate: None where it is not finite.
        interval: By Robins, Breslow & Greenland (1986); None where it cannot be computed.
        homogeneity: Whether layouts agree about it (Breslow & Day 1980 with Tarone's correction).
        note: Why something is missing.
    """

    estimate: float | None
    interval: Interval | None
    homogeneity: Tested
    note: str = ""


class Difference(_Part, frozen=True, kw_only=True):
    """Success of the first policy less that of the second, layouts pooled; interval by Newcombe (1998), method 10."""

    estimate: float | None
    interval: Interval | None


class SequentialStep(_Part, frozen=True, kw_only=True):
    """What the sequential test knew after so many trials of the pair.

    Attributes:
        trials: Scored trials of the two policies until then.
        e_value: Evidence against no difference: what a bet of 1 would have become.
        odds_ratio: Time-uniform confidence sequence; None where it is not computed; `high` None: unbounded.
        difference: Time-uniform confidence sequence of the mean difference so far; None where it is not computed.
    """

    trials: int
    e_value: float
    odds_ratio_low: float | None = None
    odds_ratio_high: float | None = None
    difference: Interval | None = None


class Sequential(_Part, frozen=True, kw_only=True):
    """The anytime-valid test of a pair.

    Attributes:
        method: `matched pairs` or `fair labels`, see `statistics/sequential.py`.
        null: Under which null hypothesis it is valid, in words.
        bets: How many bets were settled; those that tell: discordant pairs, or trials with a fair label.
        e_value: After the last trial.
        largest: Largest e-value so far; its inverse is a p-value at every time.
        p: min(1, 1 / largest).
        adjusted: After Holm over the declared pairs.
        rejects: Whether `adjusted` is at most alpha.
        decided_after: Scored trials of the pair after which e-value first was at least 1 / alpha, before any adjustment
            for several pairs; None: never.
        steps: The running values.
        note: What to mind.
    """

    method: str
    null: str
    bets: int
    e_value: float
    largest: float
    p: float
    adjusted: float | None
    rejects: bool
    decided_after: int | None
    steps: tuple[SequentialStep, ...]
    note: str = ""


class PairComparison(_Part, frozen=True, kw_only=True):
    """Two policies against each other.

    Attributes:
        first: Name.
        second: Name.
        declared: Whether the plan declared this pair before the campaign; all here are.
        first_success: Layouts pooled.
        second_success: Layouts pooled.
        difference: First less second.
        odds_ratio: First to second, over layouts.
        cmh: Cochran-Mantel-Haenszel, layouts as strata: the primary test of the pair.
        randomization: Its statistic judged by redrawing the plan's own order: valid under drift.
        exact: Exact conditional test with layouts as strata.
        barnard: Barnard's exact unconditional test, layouts pooled.
        fisher: Fisher's exact test, layouts pooled.
        sequential: Anytime-valid; None where the plan does not ask for it.
        first_better: Posterior probability that the first is better.
    """

    first: str
    second: str
    declared: bool
    first_success: Rate
    second_success: Rate
    difference: Difference
    odds_ratio: OddsRatio
    cmh: Tested
    randomization: Tested
    exact: Tested
    barnard: Tested
    fisher: Tested
    sequential: Sequential | None
    first_better: float | None


class Strength(_Part, frozen=True, kw_only=True):
    """A policy's strength by preferences.

    Attributes:
        policy: Name.
        component: Policies of different components were never compared with each other, directly or through others:
            their strengths do not compare.
        wins: Preferred.
        losses: The other one was.
        ties: Neither.
        strength: Natural logarithm of Bradley and Terry's strength, mean 0 in its component; None where it was never
            compared.
        interval: Wald's; None where it cannot be computed.
    """

    policy: str
    component: int
    wins: int
    losses: int
    ties: int
    strength: float | None
    interval: Interval | None


class Preferences(_Part, frozen=True, kw_only=True):
    """Bradley-Terry model of the operators' preferences.

    Attributes:
        compared: Preferences between different policies, ties included.
        ties: Of these; each counts as half a win for both.
        left_out: Of one policy with itself, or naming trials that do not count.
        connected: Whether all policies compare with each other.
        regularized: Whether half a win was added to both sides of every compared pair, because some policies
            never lost to others and their strength would be infinite.
        strengths: Best first in each component.
        note: What to mind.
    """

    compared: int
    ties: int
    left_out: int
    connected: bool
    regularized: bool
    strengths: tuple[Strength, ...]
    note: str = ""


class Agreement(_Part, frozen=True, kw_only=True):
    """How far operator and raters agree on one thing that is judged.

    Attributes:
        item: `success`, or the sub-task.
        task: Name; empty: all tasks.
        judged: Pairs of judgements, the operator's and a rater's on the same trial.
        both_yes: In so many pairs both said yes.
        operator_only: Only the operator did.
        rater_only: Only the rater did.
        both_no: Neither did.
        raw: Share of pairs that agree; None of no pairs.
        kappa: Cohen's kappa; None where it is not defined.
        interval: Of kappa (Fleiss, Cohen & Everitt 1969).
        raters: Different people that judged, operators included.
        krippendorff: Krippendorff's alpha, nominal, over all judgements; None where it is not defined.
        note: Why something is missing.
    """

    item: str
    task: str
    judged: int
    both_yes: int
    operator_only: int
    rater_only: int
    both_no: int
    raw: float | None
    kappa: float | None
    interval: Interval | None
    raters: int
    krippendorff: float | None
    note: str = ""


class PolicyGuesses(_Part, frozen=True, kw_only=True):
    """What operators took a policy for.

    Attributes:
        policy: Name.
        guesses: Name of the guess (empty: does not know) and how often, in declared order.
        correct: Of these.
        wrong: Of these.
        unknown: Does not know.
        bang: Bang's index, generalized to k policies: 0 as by chance, 1 always recognized, below 0 taken for others;
            None of no guesses.
        interval: Of the index.
    """

    policy: str
    guesses: tuple[tuple[str, int], ...]
    correct: int
    wrong: int
    unknown: int
    bang: float | None
    interval: Interval | None


class BlindingIndex(_Part, frozen=True, kw_only=True):
    """Whether operators recognized policies.

    Attributes:
        asked: Guesses, `does not know` included.
        policies: For each policy.
        james: James' index over all: 1 complete blinding, 0.5 as by chance, 0 none; None where it is not defined.
        james_interval: By the delta method.
        recognized: One-sided test of the guesses that were made: correct more often than in a random order.
        note: What to mind.
    """

    asked: int
    policies: tuple[PolicyGuesses, ...]
    james: float | None
    james_interval: Interval | None
    recognized: Tested
    note: str = ""


class VoidRate(_Part, frozen=True, kw_only=True):
    """How many of a policy's trials were void.

    Attributes:
        policy: Name.
        void: Of all trials that began or were taken.
        causes: Cause and how often.
    """

    policy: str
    void: Rate
    causes: tuple[tuple[str, int], ...]


class Voids(_Part, frozen=True, kw_only=True):
    """Void trials, and whether they fell on some policies more than on others (Fisher-Freeman-Halton)."""

    policies: tuple[VoidRate, ...]
    difference: Tested


class SensitivityPair(_Part, frozen=True, kw_only=True):
    """A pair in another reading of the data."""

    first: str
    second: str
    difference: Difference
    cmh: Tested


class Sensitivity(_Part, frozen=True, kw_only=True):
    """The main results in another reading of the data.

    Attributes:
        name: Short.
        description: What is read otherwise.
        changed: How many trials are read otherwise or left out.
        trials: How many are left.
        success: Per policy.
        omnibus: The primary test.
        pairs: The declared pairs.
        conclusions_change: Whether a test rejects that did not, or the other way round.
    """

    name: str
    description: str
    changed: int
    trials: int
    success: tuple[CellRate, ...]
    omnibus: Tested
    pairs: tuple[SensitivityPair, ...]
    conclusions_change: bool


class DriftPart(_Part, frozen=True, kw_only=True):
    """Success in one part of the session, all policies together.

    Attributes:
        first: Order of its first trial.
        last: Order of its last one.
        success: In it.
        policies: Success of each policy in it.
    """

    first: int
    last: int
    success: Rate
    policies: tuple[CellRate, ...]


class Drift(_Part, frozen=True, kw_only=True):
    """Whether success changed in the course of the campaign, whichever policy drove.

    Attributes:
        parts: Quarters of the session.
        trend: Mantel's test (1963) of success on order, strata are policy x layout.
        slope: Change of success from the first trial to the last one, linear, within strata; None where it cannot be
            computed.
        note: What to mind.
    """

    parts: tuple[DriftPart, ...]
    trend: Tested
    slope: float | None
    note: str = ""


class Method(_Part, frozen=True, kw_only=True):
    """What was computed how: for the report's last page."""

    name: str
    how: str
    source: str


class AnalysisResult(_Part, frozen=True, kw_only=True):
    """Everything that was computed.

    Attributes:
        format: Of this document.
        campaign: Name.
        campaign_id: Opaque id.
        commitment: Of the plan.
        log_head: Where the log ended.
        alpha: Level of all tests.
        confidence: Of all intervals.
        trials: Scored ones.
        planned: How many the plan wanted.
        policies: Names as declared.
        success: Per policy.
        by_task: Per policy and task.
        by_layout: Per policy and layout.
        rubric: Per policy and sub-task.
        omnibus: Primary: Cochran-Mantel-Haenszel over all policies, layouts as strata.
        randomization: Its statistic judged by redrawing the plan's own order: valid under drift.
        pairs: The declared ones.
        posteriors: Per policy.
        preferences: None where nobody was asked.
        agreement: Empty where nobody scored twice.
        blinding: None where nobody was asked.
        voids: Void rates.
        sensitivity: Other readings.
        drift: Over the session.
        methods: What was computed how.
        problems: What could not be computed and why, one line each, for the top of the report.
        ended_early: Why the plan was not completed; empty where it was: otherwise the sequential test alone is valid as
            it was declared.
    """

    format: int = FORMAT
    campaign: str
    campaign_id: str
    commitment: str
    log_head: str
    alpha: float
    confidence: float
    trials: int
    planned: int
    policies: tuple[str, ...]
    success: tuple[CellRate, ...]
    by_task: tuple[CellRate, ...]
    by_layout: tuple[CellRate, ...]
    rubric: tuple[RubricRate, ...]
    omnibus: Tested
    randomization: Tested
    pairs: tuple[PairComparison, ...]
    posteriors: tuple[Posterior, ...]
    preferences: Preferences | None
    agreement: tuple[Agreement, ...]
    blinding: BlindingIndex | None
    voids: Voids
    sensitivity: tuple[Sensitivity, ...]
    drift: Drift
    methods: tuple[Method, ...]
    problems: tuple[str, ...]
    ended_early: str = ""
