"""A bundle for robots with different numbers of cameras."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.policy.damage import manifest_of, put_manifest
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.policy.bundle import file_hash

if TYPE_CHECKING:
    from pathlib import Path


def two_numbers_of_views(folder: Path) -> Path:
    """Drives so101 with its own camera, and `wide`, the same arm with three."""
    cameras = ("left", "right", "wrist")
    bundle = write_tiny_bundle(folder / "one")
    other = write_tiny_bundle(folder / "three", cameras=cameras)
    document, wider = manifest_of(bundle), manifest_of(other)
    for name in ("prefix.onnx", "chunk.onnx", "chunk_1.onnx"):
        shutil.copyfile(other / name, bundle / f"wide_{name}")
        document["files"][f"wide_{name}"] = file_hash(bundle / f"wide_{name}")
    document["robots"]["wide"] = {**document["robots"]["so101"], "cameras": cameras}
    document["graphs"]["other_prefixes"] = [{**wider["graphs"]["prefix"], "file": "wide_prefix.onnx"}]
    document["graphs"]["chunks"] += [
        {**chunk, "file": f"wide_{chunk['file']}", "views": len(cameras)} for chunk in wider["graphs"]["chunks"]
    ]
    put_manifest(bundle, document)
    return bundle
