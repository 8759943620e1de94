"""A checkpoint to a policy bundle."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from unichunk.runtime.compile.being_h_files import write_files
from unichunk.runtime.compile.compile_plan import plan_compilation
from unichunk.runtime.compile.deviation import BundleFiles, measured_deviation
from unichunk.runtime.compile.deviation_limit import read_recordings, refuse_beyond
from unichunk.runtime.compile.emulation import write_emulated
from unichunk.runtime.compile.heads.compile_head import write_head_files
from unichunk.runtime.compile.heads.head_checkpoint import is_head
from unichunk.runtime.compile.heads.head_plan import plan_head
from unichunk.runtime.compile.precision import PRECISIONS
from unichunk.runtime.policy.bundle import staged_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unichunk.runtime.compile.compile_options import CompileOptions
    from unichunk.runtime.policy.manifest import Deviation, Manifest
    from unichunk.runtime.recorded_observations import RecordedObservations


def compile_checkpoint(checkpoint_dir: Path, out: Path, options: CompileOptions) -> Manifest:
    """Compile a checkpoint: Being-H0.5's, or that of a policy with action queries (`unichunk.runtime.compile.heads`).

    Weights go from the checkpoint's shards to the bundle one at a time. A bundle that is in the way is replaced when
    the new one is complete; whatever goes wrong before, nothing is left behind. Where observations are given, the same
    is compiled to float32 as well, beside the bundle and for as long as the two are compared.

    Args:
        checkpoint_dir: Folder of the checkpoint.
        out: Where the bundle shall be.
        options: What to make of it.

    Returns:
        The bundle's manifest.

    Raises:
        CheckpointError: The checkpoint, or what was asked of it, is wrong, or its actions are further from those in
            float32 than allowed; one line.
        BundleError: Something else is in the way, or the bundle cannot be written.
    """
    plan = _planned(checkpoint_dir, options)
    recordings = read_recordings(options, plan.robots)
    with staged_bundle(out) as staged:
        manifest = plan.write(staged.folder)
        if recordings:
            in_float32 = _planned(checkpoint_dir, replace(options, precision="fp32", batch=()))
            deviation = _deviation(BundleFiles(staged.folder, manifest), in_float32, recordings)
            refuse_beyond(options.max_deviation, deviation, options.precision)
            manifest = msgspec.structs.replace(manifest, deviation=deviation)
        return staged.finish(manifest)


class _Planned(NamedTuple):
    """A checkpoint of any kind, everything but the values of its weights read and checked.

    Attributes:
        robots: Names of those that the bundle drives.
        write: Writes all files of the bundle into a folder but its manifest, which it returns.
    """

    robots: tuple[str, ...]
    write: Callable[[Path], Manifest]


def _planned(checkpoint_dir: Path, options: CompileOptions) -> _Planned:
    if is_head(checkpoint_dir):
        head_plan = plan_head(checkpoint_dir, options)
        return _Planned(tuple(robot.name for robot in head_plan.robots), partial(write_head_files, head_plan))
    plan = plan_compilation(checkpoint_dir, options)
    return _Planned(tuple(robot.name for robot in plan.robots), partial(write_files, plan))


def _deviation(bundle: BundleFiles, in_float32: _Planned, recordings: Mapping[str, RecordedObservations]) -> Deviation:
    """Of the bundle from the same in float32, which is written beside it, and removed."""
    with tempfile.TemporaryDirectory(prefix=f"{bundle.folder.name}-", dir=bundle.folder.parent) as scratch:
        folder = Path(scratch, "fp32")
        folder.mkdir()
        reference = BundleFiles(folder, in_float32.write(folder))
        if not PRECISIONS[bundle.manifest.precision].half:
            return measured_deviation(reference, bundle, recordings, "computed")
        emulation = Path(scratch, "emulation")
        emulation.mkdir()
        emulated = write_emulated(bundle.folder, bundle.manifest, emulation)
        return measured_deviation(reference, BundleFiles(emulation, emulated), recordings, "emulated")
