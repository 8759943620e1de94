"""Results of a made-up campaign: for tests of statistics and reports, without a store."""

from __future__ import annotations

import itertools

import numpy as np

from unichunk.server.evaluation.planning.campaign import (
    Analysis,
    Campaign,
    Layout,
    PolicyEntry,
    Randomization,
    Task,
)
from unichunk.server.evaluation.planning.plan import Plan
from unichunk.server.evaluation.planning.randomization import draw_schedule
from unichunk.server.evaluation.planning.stream import Stream
from unichunk.server.evaluation.results import (
    PolicyGuess,
    Preference,
    Results,
    ScoredTrial,
    SecondScore,
    VoidTrial,
)

TASKS = (
    Task(name="stack", instruction="stack the cups", success="all on one", rubric=("grasped", "lifted")),
    Task(name="pour", instruction="pour the water", success="none spilled"),
)


def made_campaign(
    policies: int = 3,
    layouts: int = 2,
    per_cell: int = 5,
    randomization: Randomization = Randomization.REPLICATE_BLOCKS,
    analysis: Analysis | None = None,
) -> Campaign:
    """Policies `p0`, `p1`, ..., layouts `l0`, `l1`, ... that belong to both tasks by turns."""
    return Campaign(
        name="made up",
        robot="so101",
        policies=tuple(PolicyEntry(name=f"p{index}", source=f"python:made.up:p{index}") for index in range(policies)),
        tasks=TASKS if layouts > 1 else TASKS[:1],
        layouts=tuple(Layout(name=f"l{index}", task=TASKS[index % 2].name) for index in range(layouts)),
        trials_per_cell=per_cell,
        randomization=randomization,
        analysis=analysis or Analysis(),
    )


def made_plan(campaign: Campaign) -> Plan:
    return Plan(
        campaign=campaign,
        campaign_id="a" * 16,
        slots=(),
        commitment="0" * 64,
        signing_key="1" * 64,
        admin_key="2" * 64,
        frozen_at="2026-01-01T00:00:00+00:00",
    )


def made_trials(campaign: Campaign, rates: tuple[float, ...], seed: int = 0) -> tuple[ScoredTrial, ...]:
    """Trials in the order of a drawn schedule, with these success rates of the policies."""
    stream = Stream(seed.to_bytes(32, "big"), "schedule")
    layouts, policies = len(campaign.layouts), len(campaign.policies)
    schedule = draw_schedule(campaign.randomization, layouts, policies, campaign.trials_per_cell, stream)
    random = np.random.default_rng(seed)
    trials = []
    for order, cell in enumerate(schedule):
        layout = campaign.layouts[cell.layout]
        success = bool(random.random() < rates[cell.policy])
        items = next(len(task.rubric) for task in campaign.tasks if task.name == layout.task)
        trials.append(
            ScoredTrial(
                trial=f"t{order:04d}",
                order=order,
                policy=campaign.policies[cell.policy].name,
                task=layout.task,
                layout=layout.name,
                attempt=0,
                success=success,
                rubric=tuple(success or bool(random.random() < 0.5) for _ in range(items)),
                operator="ann",
                robot="arm",
                started_at=1_700_000_000_000_000_000 + order * 60_000_000_000,
                duration_s=20.0,
                note="",
                slot=order,
            )
        )
    return tuple(trials)


def made_results(
    campaign: Campaign | None = None, rates: tuple[float, ...] = (0.3, 0.5, 0.8), seed: int = 0
) -> Results:
    """Results with some of everything: voids, second scores, guesses, preferences."""
    campaign = campaign or made_campaign()
    trials = made_trials(campaign, rates, seed)
    names = [policy.name for policy in campaign.policies]
    random = np.random.default_rng(seed + 1)
    voids = tuple(
        VoidTrial(f"v{index}", trial.policy, trial.layout, "the camera fell", cause, slot=trial.slot)
        for index, (trial, cause) in enumerate(
            zip(trials[::7], ["operator", "policy lost", "robot lost"] * 99, strict=False)
        )
    )
    return Results(
        plan=made_plan(campaign),
        trials=trials,
        voids=voids,
        second_scores=tuple(
            SecondScore(trial.trial, "ray", trial.success != bool(random.random() < 0.1), trial.rubric)
            for trial in trials[::2]
        ),
        guesses=tuple(
            PolicyGuess(trial.trial, trial.operator, trial.policy, [*names, ""][random.integers(len(names) + 1)])
            for trial in trials
        ),
        preferences=tuple(
            Preference(one.trial, other.trial, random.choice([one.policy, other.policy, ""]).item(), "ann")
            for one, other in itertools.pairwise(trials)
            if one.task == other.task and one.policy != other.policy
        ),
        log_head="123:" + "ab" * 32,
    )
