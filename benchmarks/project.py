"""What a policy would take on a device that is not here: a prediction, by a roofline model.

    unichunk bench project [--device orin-nx-16] [--size being-h05-2b | --policy BUNDLE] [--precision bf16] [--views 2]
        [--steps 4] [--rounds 0] [--validate] [--json FILE] [--quick]

Without a device: all devices in one table. With one: every stage of an inference; for every shipped embodiment the
predicted latency, the delay d to commit, whether the chunk covers it, the highest action rate, and what to cut first.
Nothing of it is measured on the device: peaks and bandwidths are those of datasheets.

With `--validate`: the same arithmetic predicts the times of several models' graphs on this processor and is compared
with measured ones; each model is predicted from rates measured alone and from what the graphs of the other models tell.
The two checks that come always: an estimate by hand, which must come out again, and published latencies of pi0.5.
Needs the extra `compile`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (tyro reads it at run time)
from typing import TYPE_CHECKING, Any, Final

import tyro

from unichunk.benchmarks.harness.document import check_writable, document, is_measured, not_measured, write_json
from unichunk.benchmarks.harness.extras import need_extras
from unichunk.benchmarks.roofline import report
from unichunk.benchmarks.roofline.allowance import Allowance
from unichunk.benchmarks.roofline.devices import BYTES, device_named
from unichunk.benchmarks.roofline.errors import ProjectionError
from unichunk.benchmarks.roofline.peers import peer_rows, unsupported
from unichunk.benchmarks.roofline.projection import ASSUMPTIONS, device_rows, model_row, projected
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.policy.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from unichunk.benchmarks.roofline.architecture import Model

NAME: Final = "project"
MOST_VIEWS: Final = 16
MOST_STEPS: Final = 1000
MOST_ROUNDS: Final = 16
QUICK_REPETITIONS: Final = 3


@dataclass(frozen=True)
class Options:
    """Predict latencies and print tables; every number of a device is a prediction."""

    device: str | None = None
    """A device of the table; without one, all of them."""
    policy: Path | None = None
    """Folder of a bundle or of a checkpoint, or the name of a shipped bundle."""
    size: str | None = None
    """Instead of a policy, a published size: being-h05-2b (taken where neither is given) or pi05."""
    precision: str | None = None
    """Of weights and products: fp32, fp16, bf16, int8, fp8; without it the bundle's, or bf16."""
    views: int | None = None
    """Cameras; without it the bundle's, or as many as each robot has."""
    steps: int | None = None
    """Euler steps; without it the checkpoint's."""
    rounds: int | None = None
    """MPG refinement rounds; without it the checkpoint's."""
    allowance_ms: float | None = None
    """What a latency holds besides the graphs, in milliseconds; without it an assumption for each robot."""
    validate: bool = False
    """Compare predictions with measurements on this processor."""
    repetitions: int = 9
    """Repetitions of each measurement."""
    threads: int = 1
    """Threads inside one operator, when measuring."""
    json: Path | None = None
    """Where to write everything as JSON."""
    quick: bool = False
    """Few repetitions and small models in the comparison."""


def main() -> int:
    """Predict and print; 2 or 3 where what was asked for makes no sense or cannot be read."""
    options = tyro.cli(Options, description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "compile")
    try:
        result = projection(options)
    except ProjectionError as error:
        print(f"unichunk bench {NAME}: {error}", file=sys.stderr)
        return 2
    except UnichunkError as error:
        print(f"unichunk bench {NAME}: {error}", file=sys.stderr)
        return 3
    for part in sections(result):
        print(part)
    write_json(options.json, result)
    return 0


def projection(options: Options) -> dict[str, Any]:
    """The whole document."""
    from unichunk.benchmarks.roofline.reference import reference_rows  # noqa: PLC0415  (the extra)

    device = None if options.device is None else device_named(options.device)
    model = asked_model(options)
    if device is not None:
        device.bound(model.workload.precision)  # says so where the device does not have it
    result = document(
        NAME,
        quick=options.quick,
        prediction=True,
        model=model_row(model),
        assumptions=list(ASSUMPTIONS),
        devices=device_rows(model),
        device=None if device is None else device.name,
        reference=reference_rows(),
        peers=peer_rows(),
    )
    if device is not None:
        allowance = Allowance(whole_s=None if options.allowance_ms is None else options.allowance_ms / 1e3)
        result |= projected(model, device, allowance, fixed_views=_fixed_views(options))
    result["validation"] = not_measured("not asked for; add --validate")
    if options.validate:
        from unichunk.benchmarks.roofline.validation import validate  # noqa: PLC0415  (the extra)

        repetitions = QUICK_REPETITIONS if options.quick else options.repetitions
        result["validation"] = validate(rounds=repetitions, threads=options.threads, quick=options.quick)
    return result


def asked_model(options: Options) -> Model:
    """The model with everything that was asked of it.

    Raises:
        ProjectionError: Some number makes no sense.
        UnichunkError: The policy is wrong.
    """
    from unichunk.benchmarks.roofline.sizes import BEING_H05_2B, model_in, named_model  # noqa: PLC0415  (the extra)

    if options.policy is not None and options.size is not None:
        raise ProjectionError(f"--policy {options.policy} and --size {options.size}: expected one of the two")
    for name, most in (("views", MOST_VIEWS), ("steps", MOST_STEPS), ("repetitions", 10_000), ("threads", 1024)):
        _check(name, getattr(options, name), 1, most)
    _check("rounds", options.rounds, 0, MOST_ROUNDS)
    _check("allowance-ms", options.allowance_ms, 0, 10_000)
    if options.precision is not None and options.precision not in BYTES:
        raise ProjectionError(f"--precision {options.precision}: expected one of {', '.join(BYTES)}")
    model = model_in(options.policy) if options.policy is not None else named_model(options.size or BEING_H05_2B)
    if options.rounds and model.directions is None:
        raise ProjectionError(f"--rounds {options.rounds}: {model.name} has no MPG gating; expected 0")
    asked = {name: getattr(options, name) for name in ("precision", "views", "steps", "rounds")}
    return model.asked(**{name: value for name, value in asked.items() if value is not None})


def sections(result: dict[str, Any]) -> list[str]:
    """The document for people."""
    model = result["model"]
    about = (
        f"{model['name']}, {model['parameters'] / 1e9:.2g}B weights, {model['precision']}, "
        f"{model['language_tokens']} tokens after the head, T = {model['rows']}, K = {model['steps']}, "
        f"N = {model['rounds']}"
    )
    assumed = list(result["assumptions"])
    if result["device"] is not None:
        assumed.append(result["allowance"]["in_words"])
        if without := unsupported(result["device"]):
            assumed.append(f"{result['device']}: {without}")
    found = [report.list_lines("what all of this assumes", assumed)]
    found.append(report.devices_table(f"graphs of {about}, {model['views']} view(s)", result["devices"]))
    if result["device"] is not None:
        found += [
            report.stages_table(f"stages on {result['device']}", result["stages"]),
            report.robots_table(f"every robot with {about} on {result['device']}", result["robots"]),
            report.cuts_table(f"what each cut gains on {result['device']}", result["cuts"]),
        ]
    found += [report.reference_table(result["reference"]), report.peers_table(result["peers"])]
    if is_measured(result["validation"]):
        found.append(report.validation_table(result["validation"]))
    else:
        found.append(f"Prediction, not compared with this processor: {result['validation']['not_measured']}")
    return found


def _fixed_views(options: Options) -> bool:
    """Whether the model's number of views stands for all robots: it was asked for, or is compiled."""
    checkpoint = (
        options.policy is not None and options.policy.is_dir() and not (options.policy / MANIFEST_NAME).exists()
    )
    return options.views is not None or (options.policy is not None and not checkpoint)


def _check(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise ProjectionError(f"--{name} {value}: expected {least} to {most}")


if __name__ == "__main__":
    sys.exit(main())
