"""What is wrong with a campaign's content, and what is only worth a second look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.kinematics.names import instead_of
from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.planning.source_kind import VOUCHED, SourceKind, source_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from unichunk.server.evaluation.planning.campaign import Campaign, PolicyEntry

MAX_TRIALS: Final = 10_000
"""Most trials of a campaign: at five minutes each, more than three years of working days."""

_SOURCES: Final = (
    "a folder of a bundle, python:package.module:factory, or an address with ws://, wss://, zmq://, ipc://, "
    "openpi+ws:// or openpi+wss://"
)
_NAMED: Final = ("policies", "tasks", "layouts")
_SEVERAL_LINES: Final = frozenset({"success", "description"})


def text_complaints(document: Any, path: str = "campaign") -> Iterator[str]:
    """Texts that could not be shown, stored or sent as they are.

    Args:
        document: Plain values.
        path: What leads there.
    """
    if isinstance(document, dict):
        for key, value in document.items():
            if not str(key).isprintable():
                yield f"{path}: key {key!a}: expected printable characters"
            yield from text_complaints(value, f"{path}.{key}")
    elif isinstance(document, list):
        for i, value in enumerate(document):
            yield from text_complaints(value, f"{path}[{i}]")
    elif isinstance(document, str):
        several = path.rpartition(".")[2] in _SEVERAL_LINES
        strange = next((c for c in document if not c.isprintable() and not (several and c in "\n\t")), None)
        if strange is not None:
            expected = "printable characters and line breaks" if several else "one line of printable characters"
            yield f"{path}: expected {expected}, got {strange!a} in {document[:60]!a}"


def complaints(campaign: Campaign) -> Iterator[str]:
    """Everything that contradicts itself, as `campaign.layouts[2].task: ...`; in the order in which to mend it."""
    for part in _NAMED:
        yield from _twice(f"campaign.{part}", [entry.name for entry in getattr(campaign, part)])
    for i, policy in enumerate(campaign.policies):
        yield from _of_policy(policy, f"campaign.policies[{i}]")
    for i, task in enumerate(campaign.tasks):
        yield from _twice(f"campaign.tasks[{i}].rubric", task.rubric, "")
    yield from _of_layouts(campaign)
    ticks, rows = campaign.blinding.equalized_ticks, campaign.blinding.rows
    if ticks is not None and ticks < rows:
        yield (
            f"campaign.blinding.equalized_ticks: expected at least `rows`, {rows}, got {ticks}: the first {rows} rows "
            "of an answer are handed out before its chunk can be there"
        )
    policies = [policy.name for policy in campaign.policies]
    baseline = campaign.analysis.baseline
    if baseline and baseline not in policies:
        yield f"campaign.analysis.baseline: unknown policy {baseline!r}: {instead_of(baseline, policies)}"
    if campaign.trials > MAX_TRIALS:
        yield (
            f"campaign.trials_per_cell: {campaign.trials_per_cell} for each of {len(campaign.layouts)} layouts and "
            f"{len(campaign.policies)} policies are {campaign.trials} trials, expected at most {MAX_TRIALS}; fewer are "
            "enough for most questions, see `unichunk eval power`"
        )


def warnings(campaign: Campaign) -> Iterator[str]:
    """What is allowed, and worth a second look before it is frozen.

    Args:
        campaign: With the hashes filled in.
    """
    for i, policy in enumerate(campaign.policies):
        kind = source_kind(policy.source)
        if kind in {SourceKind.PYTHON, SourceKind.OPENPI_SERVER}:
            yield f"policies[{i}] ({policy.name}): its hash vouches for this alone: {VOUCHED[kind]}"
        twin = next((other for other in campaign.policies[:i] if _same(policy, other)), None)
        if twin is not None:
            yield (
                f"policies[{i}] ({policy.name}): the same as {twin.name}: comparing these two shows what chance alone "
                "does (A/A)"
            )
    for i, layout in enumerate(campaign.layouts):
        if not layout.photo:
            yield f"layouts[{i}] ({layout.name}): no reference photo: nothing shows whether the scene is as it was"
        copy = next((other for other in campaign.layouts[:i] if layout.photo and layout.photo == other.photo), None)
        if copy is not None:
            yield f"layouts[{i}] ({layout.name}): the same photo as {copy.name}"
    if campaign.randomization is Randomization.INDEPENDENT_DRAW:
        yield (
            f"randomization: {campaign.randomization.value!r} balances nothing before the end; "
            f"{Randomization.REPLICATE_BLOCKS.value!r} guards against drift, and against an early end"
        )


def _of_policy(policy: PolicyEntry, path: str) -> Iterator[str]:
    kind = source_kind(policy.source)
    if kind is None:
        openpi = policy.source.startswith("http")
        hint = "; an openpi server's ws://host:port is openpi+ws://host:port here" if openpi else ""
        yield f"{path}.source: {policy.source!r}: expected {_SOURCES}{hint}"
    if policy.refinement_rounds and kind in {SourceKind.PYTHON, SourceKind.OPENPI_SERVER}:
        yield f"{path}.refinement_rounds: expected 0 for a policy that is no bundle, got {policy.refinement_rounds}"


def _of_layouts(campaign: Campaign) -> Iterator[str]:
    tasks = [task.name for task in campaign.tasks]
    for i, layout in enumerate(campaign.layouts):
        if layout.task not in tasks:
            yield f"campaign.layouts[{i}].task: unknown task {layout.task!r}: {instead_of(layout.task, tasks)}"
    used = {layout.task for layout in campaign.layouts}
    for i, task in enumerate(tasks):
        if task not in used:
            yield f"campaign.tasks[{i}]: no layout has task {task!r}, so it would never be tried; add one, or remove it"


def _twice(path: str, names: Iterable[str], field: str = ".name") -> Iterator[str]:
    """Names that people would take for one another; reports and lists go by them."""
    seen: dict[str, str] = {}
    for i, name in enumerate(names):
        plain = " ".join(name.casefold().split())
        if plain in seen:
            yield f"{path}[{i}]{field}: {name!r} is there already, as {seen[plain]!r}; expected each once, case apart"
        seen.setdefault(plain, name)


def _same(one: PolicyEntry, other: PolicyEntry) -> bool:
    """Whether two policies are one: same hash, and the same way to run it."""
    if one.sha256 != other.sha256 or one.refinement_rounds != other.refinement_rounds:
        return False
    # One module may have several factories.
    return source_kind(one.source) is not SourceKind.PYTHON or one.source == other.source
