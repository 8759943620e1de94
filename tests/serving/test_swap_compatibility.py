"""Which policies may take another one's place under the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.server.serving.compatibility import differences
from unichunk.server.serving.work import Description

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.runtime.policy.manifest import Manifest

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_manifest(write_tiny_bundle(tmp_path_factory.mktemp("swap") / "tiny"))


def described(manifest: Manifest, **changes: Any) -> Description:
    description = Description(
        name=manifest.name,
        kind="bundle",
        digest="",
        robots=manifest.embodiments,
        manifest=msgspec.msgpack.encode(manifest),
        max_batch=1,
        refinement_rounds=0,
        handshake={},
        modality={},
        service_s=0.0,
    )
    return replace(description, **changes)


def robot(manifest: Manifest, **changes: Any) -> Manifest:
    return replace(manifest, robots={"so101": replace(manifest.robots["so101"], **changes)})


def key(manifest: Manifest, **changes: Any) -> Manifest:
    action = manifest.robots["so101"].action
    first = next(iter(action))
    return robot(manifest, action={**action, first: replace(action[first], **changes)})


def other_normalization(manifest: Manifest) -> Manifest:
    normalization = next(iter(manifest.robots["so101"].action.values())).normalization
    moved = replace(normalization, mean=tuple(value + 1e-9 for value in normalization.mean))  # type: ignore[union-attr]
    return key(manifest, normalization=moved)


CHANGES: dict[str, Callable[[Manifest], Manifest]] = {
    "rows": lambda manifest: replace(manifest, chunk_length=9),
    "wide": lambda manifest: replace(manifest, unified_width=300),
    "noise": lambda manifest: replace(manifest, noise="own"),
    "state is told as of the takeover instead of observation": lambda manifest: replace(
        manifest, state_time="takeover"
    ),
    "pixels": lambda manifest: replace(manifest, image=replace(manifest.image, size=32)),
    "does not drive so101": lambda manifest: replace(manifest, robots={"d1": manifest.robots["so101"]}),
    "cameras": lambda manifest: robot(manifest, cameras=("elsewhere",)),
    "rows a second": lambda manifest: robot(manifest, action_hz=7),
    "longest delay": lambda manifest: robot(manifest, max_delay=1),
    "state keys": lambda manifest: robot(manifest, state=dict(reversed(manifest.robots["so101"].state.items()))),
    "in slots": lambda manifest: key(manifest, slots=(100, 105)),
    "rotation_6d": lambda manifest: key(manifest, rotation="rotation_6d"),
    "normalized with other numbers": other_normalization,
}


@pytest.mark.parametrize("words", CHANGES)
def test_what_clients_would_get_wrong_is_found(manifest: Manifest, words: str) -> None:
    found = differences(described(manifest), described(CHANGES[words](manifest)))
    assert any(words in one for one in found), found
    assert all("\n" not in one for one in found)


def test_other_weights_more_robots_and_faster_graphs_fit(manifest: Manifest) -> None:
    new = replace(
        manifest,
        name="newer",
        description="",
        denoising_steps=1,
        files={},
        robots={**manifest.robots, "d1": manifest.robots["so101"]},
    )
    assert differences(described(manifest), described(new, digest="other", max_batch=8)) == []


def test_what_else_differs(manifest: Manifest) -> None:
    old = described(manifest)
    assert "python" in differences(old, described(manifest, kind="python"))[0]
    assert "refinement rounds are 2 instead of 0" in differences(old, described(manifest, refinement_rounds=2))
    assert differences(old, described(manifest, guided=True)) == ["chunks are guided"]
    assert differences(described(manifest, guided=True), old) == ["chunks are not guided"]
    assert "d1" in differences(old, described(manifest, robots=("d1", "so101")))[0]
    python = described(manifest, kind="python", robots=())
    assert differences(python, python) == []
