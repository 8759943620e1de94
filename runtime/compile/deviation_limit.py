"""What a compilation is compared on, and how far it may be from float32."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from unichunk.runtime.errors import CheckpointError, ObservationError
from unichunk.runtime.policy.bundle import file_hash
from unichunk.runtime.recorded_observations import RecordedObservations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.runtime.compile.compile_options import CompileOptions
    from unichunk.runtime.policy.manifest import Deviation

MOST_DEVIATION: Final = 0.1
"""Without `--max-deviation`: a twentieth of the range from -1 to 1 that most normalizations map actions to."""


def read_recordings(options: CompileOptions, robots: Sequence[str]) -> dict[str, RecordedObservations]:
    """The recordings that were given, by what a manifest says of their origin.

    Args:
        options: What was asked for.
        robots: Names of those that the bundle will drive.

    Raises:
        CheckpointError: One cannot be read or is of another robot, or what was asked for makes no sense.
    """
    limit = options.max_deviation
    if limit is not None and not (math.isfinite(limit) and limit > 0):
        raise CheckpointError(f"largest deviation: expected a number above 0, in normalized units, got {limit:g}")
    if options.precision == "fp32":
        if options.observations or limit is not None:
            raise CheckpointError(
                "deviation from fp32: there is none to measure in fp32; choose another --precision, or leave out "
                "--observations and --max-deviation"
            )
        return {}
    if limit is not None and not options.observations:
        raise CheckpointError(
            f"largest deviation {limit:g}: on what shall it be measured? give --observations FILE, recorded with "
            f"`unichunk run --record-observations FILE`"
        )
    recordings = {}
    for path in options.observations:
        try:
            recording = RecordedObservations.read(path)
        except ObservationError as error:
            raise CheckpointError(str(error)) from None
        if recording.embodiment not in robots:
            raise CheckpointError(
                f"observations {path}: are of {recording.embodiment}, and the bundle drives {', '.join(robots)}; give "
                f"those of one of these"
            )
        recordings[f"{path.name} (SHA-256 {file_hash(path)[:12]})"] = recording
    return recordings


def refuse_beyond(limit: float | None, deviation: Deviation, precision: str) -> None:
    """Refuse a bundle whose actions are too far from those in float32.

    Raises:
        CheckpointError: They are; with the key that is furthest.
    """
    allowed = MOST_DEVIATION if limit is None else limit
    if deviation.largest > allowed:
        shown = ", ".join(f"{name} {value:.3g}" for name, value in deviation.keys.items())
        raise CheckpointError(
            f"precision {precision}: actions deviate by {deviation.largest:.3g} from fp32 in normalized units, "
            f"expected {allowed:g} at most ({shown}, in physical units); choose another "
            f"--precision or a larger --max-deviation"
        )
