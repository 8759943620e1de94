"""A campaign as it is declared: what is compared, on what, how often, and how it is judged."""

from __future__ import annotations

import enum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9][A-Za-z0-9 ._-]*\Z")]
Text = Annotated[str, Meta(max_length=2000)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Share = Annotated[float, Meta(gt=0, lt=1)]


class Randomization(str, enum.Enum):
    """How layouts and policies are put in order."""

    REPLICATE_BLOCKS = "replicate blocks"
    """K replicates, each with all cells (layout x policy) once, shuffled."""
    LAYOUT_GROUPED = "layout grouped"
    """For costly resets: in each of K replicates layouts in random order, and within each all policies, shuffled."""
    INDEPENDENT_DRAW = "independent draw"
    """The paper's: each trial draws a layout and then a policy among the cells that are not complete yet."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class PolicyEntry(_Part, frozen=True, kw_only=True):
    """One policy that is compared.

    Attributes:
        name: What the report calls it; operators of the campaign may know the names, never which is which.
        source: Folder of a bundle; `python:package.module:factory`; or the address of a server, `ws://`, `wss://`,
            `zmq://`, `ipc://` (lean protocol) or `openpi+ws://` (openpi's).
        sha256: What it must be, hexadecimal; empty in a declaration: computed when the plan is frozen.
        refinement_rounds: N of MPG, for bundles.
    """

    name: Name
    source: Annotated[str, Meta(min_length=1, max_length=500)]
    sha256: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")] = ""
    refinement_rounds: Annotated[int, Meta(ge=0, le=8)] = 0


class Task(_Part, frozen=True, kw_only=True):
    """What the robot is told, and when it has done it.

    Attributes:
        name: Of the task.
        instruction: What the policy is told.
        success: The criterion, for operators and raters.
        timeout_s: A trial ends after this long, [s].
        rubric: Sub-tasks, each yes or no.
    """

    name: Name
    instruction: Annotated[str, Meta(min_length=1, max_length=500)]
    success: Annotated[str, Meta(min_length=1, max_length=2000)]
    timeout_s: Seconds = 60.0
    rubric: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=20)] = ()


class Layout(_Part, frozen=True, kw_only=True):
    """A preset arrangement of the scene.

    Attributes:
        name: Of the layout, unique in the campaign.
        task: Name of the task that is tried on it.
        description: How to set it up.
        photo: Reference photo (JPEG or PNG), relative to the campaign file; empty: none.
        photo_sha256: Of the photo; empty in a declaration.
    """

    name: Name
    task: Name
    description: Text = ""
    photo: Annotated[str, Meta(max_length=500)] = ""
    photo_sha256: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")] = ""


class Blinding(_Part, frozen=True, kw_only=True):
    """What every robot sees, whichever policy drives it.

    Attributes:
        rows: H, rows of joint targets in every answer, [ticks].
        equalized_ticks: D: every chunk takes effect exactly D ticks after its observation; None: when it is there.
        on_miss: What happens with a chunk that is not there after D ticks: `hold`: it is dropped, the robot holds where
            rows run out; `late`: it takes effect when it is there.
        answer_ms: Every answer leaves this long after its request came, [ms].
        guesses: Whether operators are asked which policy they think it was, for the blinding index.
    """

    rows: Annotated[int, Meta(ge=1, le=64)] = 8
    equalized_ticks: Annotated[int, Meta(ge=1, le=64)] | None = None
    on_miss: Literal["hold", "late"] = "hold"
    answer_ms: Annotated[float, Meta(ge=0, le=1000)] = 20.0
    guesses: bool = True


class Rules(_Part, frozen=True, kw_only=True):
    """What happens when something happens.

    Attributes:
        policy_death: A policy that dies in a trial: `void` (redone later; the report also shows what if it counted as a
            failure) or `failure`.
        lease_s: A trial that was taken and not begun is given back after this long, [s].
        second_rater: Whether every trial is to be scored again from its video.
        preferences: Whether operators are asked which of two consecutive trials on a task was better.
    """

    policy_death: Literal["void", "failure"] = "void"
    lease_s: Annotated[float, Meta(ge=10, le=86400)] = 900.0
    second_rater: bool = False
    preferences: bool = False


class Analysis(_Part, frozen=True, kw_only=True):
    """What is computed once the plan is complete, decided before it began.

    Attributes:
        alpha: Level of all tests.
        confidence: Of all intervals.
        pairs: Which pairs are tested: `all`, or each against the `baseline`.
        baseline: Name of a policy; empty: the first.
        sequential: Whether the anytime-valid test is computed, too.
    """

    alpha: Share = 0.05
    confidence: Share = 0.95
    pairs: Literal["all", "baseline"] = "all"
    baseline: str = ""
    sequential: bool = True


class Campaign(_Part, frozen=True, kw_only=True):
    """A declared campaign.

    Attributes:
        name: Of the campaign.
        robot: The embodiment, or the path of its spec.
        robot_sha256: Of the spec; empty in a declaration.
        policies: At least two.
        tasks: At least one.
        layouts: At least one; each names its task.
        trials_per_cell: K, for each layout and policy.
        randomization: The order.
        blinding: What robots see.
        rules: What happens when something happens.
        analysis: What is computed.
    """

    name: Name
    robot: Annotated[str, Meta(min_length=1, max_length=500)]
    robot_sha256: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")] = ""
    policies: Annotated[tuple[PolicyEntry, ...], Meta(min_length=2, max_length=16)]
    tasks: Annotated[tuple[Task, ...], Meta(min_length=1, max_length=64)]
    layouts: Annotated[tuple[Layout, ...], Meta(min_length=1, max_length=64)]
    trials_per_cell: Annotated[int, Meta(ge=1, le=1000)] = 20
    randomization: Randomization = Randomization.REPLICATE_BLOCKS
    blinding: Blinding = msgspec.field(default_factory=Blinding)
    rules: Rules = msgspec.field(default_factory=Rules)
    analysis: Analysis = msgspec.field(default_factory=Analysis)

    @property
    def trials(self) -> int:
        """How many trials complete it."""
        return self.trials_per_cell * len(self.layouts) * len(self.policies)
