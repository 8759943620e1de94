"""Written checkpoints: read back bit by bit, in the published form, whole or not at all."""

from __future__ import annotations

import json
import struct
import weakref
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from tests.compile.golden_files import GOLDEN, golden_config, golden_metadata, put
from tests.one_line import refused
from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.checkpoint_writer import _bfloat16, _write_shard, random_checkpoint, write_checkpoint
from unichunk.runtime.compile.data_config import read_data_config
from unichunk.runtime.compile.keys import build_keys
from unichunk.runtime.compile.metadata import frame_rate
from unichunk.runtime.compile.prompt import Prompt
from unichunk.runtime.compile.random_weights import BLOCK, random_weights
from unichunk.runtime.compile.shards import INDEX_FILE, SINGLE_FILE
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.compile.tokenizer_training import read_tokenizer_files
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


def golden_tensors() -> Iterator[tuple[str, NDArray[Any]]]:
    checkpoint = Checkpoint.open(GOLDEN)
    for name in checkpoint.tensors:
        yield name, checkpoint.tensor(name)


def write_golden(directory: Path, **changes: Any) -> Path:
    """Writes the golden's content anew."""
    arguments: dict[str, Any] = {
        "config": golden_config(),
        "tensors": golden_tensors(),
        "metadata": {"uni_posttrain": golden_metadata()},
        "tokenizer": read_tokenizer_files(GOLDEN),
    }
    write_checkpoint(directory, **(arguments | changes))
    return directory


def test_the_golden_comes_back_bit_by_bit(tmp_path: Path) -> None:
    written = Checkpoint.open(write_golden(tmp_path / "copy"))
    golden = Checkpoint.open(GOLDEN)
    assert written.config == golden.config
    assert written.tensors == golden.tensors
    for name in golden.tensors:
        assert written.tensor(name).tobytes() == golden.tensor(name).tobytes()
    for variant in ("merged", "task_a", "libero"):
        assert written.metadata("uni_posttrain", variant) == golden.metadata("uni_posttrain", variant)
    assert json.loads((tmp_path / "copy" / "config.json").read_bytes()) == golden_config()
    assert written.tokenizer_file.read_bytes() == golden.tokenizer_file.read_bytes()


FLOATS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), elements=st.floats(width=32)
)


@settings(deadline=None)  # a busy disk is no failure
@given(arrays=st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda s: s != "__metadata__"), FLOATS))
def test_any_arrays_come_back_rounded_to_bfloat16(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, NDArray[np.float32]]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.safetensors"
    file.unlink(missing_ok=True)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = {name: array.astype(ml_dtypes.bfloat16) for name, array in arrays.items()}
        _write_shard(file, {name: _bfloat16(array) for name, array in arrays.items()})
    assert int.from_bytes(file.read_bytes()[:8], "little") % 8 == 0
    read = load_file(file)
    assert set(read) == set(arrays)
    for name, array in expected.items():
        assert read[name].dtype == ml_dtypes.bfloat16
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.tobytes()


def test_rounding_is_to_the_nearest_ties_to_even() -> None:
    ulp = 2.0**-7
    values = np.array([1 + ulp / 2, 1 + 3 * ulp / 2, 1 + ulp * 0.51, -0.0], np.float64)
    rounded = _bfloat16(values)
    np.testing.assert_array_equal(rounded.astype(np.float64), [1, 1 + 2 * ulp, 1 + ulp, -0.0])
    assert np.signbit(rounded[3].astype(np.float32))


def test_views_that_are_not_contiguous(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    _write_shard(tmp_path / "a", {"a": _bfloat16(array.T[::2])})
    np.testing.assert_array_equal(load_file(tmp_path / "a")["a"].astype(np.float32), array.T[::2])


def test_the_header_is_as_published(tmp_path: Path) -> None:
    file = write_golden(tmp_path / "copy") / SINGLE_FILE
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    assert header.pop("__metadata__") == {"format": "pt"}
    ends = [0, *(entry["data_offsets"][1] for entry in header.values())]
    assert [entry["data_offsets"][0] for entry in header.values()] == ends[:-1]
    assert 8 + length + ends[-1] == len(content)


@pytest.mark.parametrize("shard_bytes", [1, 20_000, 100_000, 10**9])
def test_shards_are_no_larger_than_asked(tmp_path: Path, shard_bytes: int) -> None:
    random_checkpoint(tmp_path / "some", shard_bytes=shard_bytes)
    files = sorted((tmp_path / "some").glob("*.safetensors"))
    held = [{name: array.nbytes for name, array in load_file(file).items()} for file in files]
    assert all(sum(sizes.values()) <= shard_bytes or len(sizes) == 1 for sizes in held)
    assert (len(files) == 1) == (shard_bytes == 10**9)
    if len(files) == 1:
        assert [file.name for file in files] == [SINGLE_FILE]
        assert not (tmp_path / "some" / INDEX_FILE).exists()
        return
    index = json.loads((tmp_path / "some" / INDEX_FILE).read_bytes())
    assert index["weight_map"] == {name: file.name for file, sizes in zip(files, held, strict=True) for name in sizes}
    assert index["metadata"]["total_size"] == sum(sum(sizes.values()) for sizes in held)
    assert files[0].name == f"model-00001-of-{len(files):05d}.safetensors"


def test_no_more_than_one_shard_is_held(tmp_path: Path) -> None:
    """When a tensor is asked for, those of earlier shards are on disk and gone."""
    shapes = Checkpoint.open(GOLDEN).tensors
    alive: set[str] = set()
    most = 0

    def tensors() -> Iterator[tuple[str, NDArray[Any]]]:
        nonlocal most
        for name, shape in shapes.items():
            array = np.ones(shape, ml_dtypes.bfloat16)
            weakref.finalize(array, alive.discard, name)
            alive.add(name)
            most = max(most, sum(2 * int(np.prod(shapes[held])) for held in alive))
            yield name, array
            del array

    write_golden(tmp_path / "copy", tensors=tensors(), shard_bytes=100_000)
    assert most <= 100_000 + 2 * max(int(np.prod(shape)) for shape in shapes.values())


def test_the_way_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with refused(CheckpointError, str(tmp_path / "there"), "exists already"):
        random_checkpoint(tmp_path / "there")
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]


def broken() -> Iterator[tuple[str, NDArray[Any]]]:
    yield from list(golden_tensors())[:20]
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": put(golden_config(), "use_expert", False)}, "use_expert"),
        ({"tensors": []}, "without weights"),
        ({"tensors": [("a", np.ones(3)), ("a", np.ones(3))]}, "tensor a is given twice"),
        ({"tensors": [("a", np.ones(3))]}, "missing"),
        ({"tokenizer": {}}, "no tokenizer.json"),
        ({"metadata": {"other": golden_metadata()}}, "no dataset 'other'"),
    ],
)
def test_what_would_be_refused_when_read_is_not_written(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with refused(CheckpointError, words):
        write_golden(tmp_path / "copy", **changes)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_interrupted(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_golden(tmp_path / "copy", tensors=broken())
    assert list(tmp_path.iterdir()) == []


def test_a_random_checkpoint_is_complete(tmp_path: Path) -> None:
    random_checkpoint(tmp_path / "some", Sizes(rows=5, prompt_template="short"), seed=3)
    checkpoint = Checkpoint.open(tmp_path / "some")
    data = read_data_config("libero_nonorm")
    meta = checkpoint.metadata("uni_posttrain", "task_a")
    assert frame_rate(meta, data.views) == 20
    assert set(build_keys(data, meta).action) == {"eef_position", "eef_rotation", "gripper_position"}
    prompt = Prompt.read(checkpoint.config, checkpoint.tokenizer_file)
    assert prompt.text_ids("follow the blue block") != prompt.text_ids("follow the red block")


@pytest.mark.parametrize(
    "sizes",
    [
        Sizes(use_mpg=False),
        Sizes(vision_norm="rms_norm", vision_qk_normalization=True, vision_qkv_bias=False, rows=8, steps=5),
        Sizes(select_layer=-2, vision_layers=3, vision_image_size=56, image_size=84),
        Sizes(vocabulary=265, heads=6, kv_heads=3, head_dim=10, expert_width=20, layers=1),
    ],
)
def test_random_checkpoints_of_other_sizes(tmp_path: Path, sizes: Sizes) -> None:
    random_checkpoint(tmp_path / "some", sizes)
    checkpoint = Checkpoint.open(tmp_path / "some")
    Prompt.read(checkpoint.config, checkpoint.tokenizer_file)


def test_seeds(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        random_checkpoint(tmp_path / name, seed=seed)
    a, b, c = ((tmp_path / name / SINGLE_FILE).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_random_weights_are_those_of_a_network() -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "mlp.weight": (BLOCK // 256 + 300, 256),
        "other.weight": (64, 256),
        "mlp.bias": (4096,),
        "norm.weight": (4096,),
        "v.ls1": (4096,),
    }
    weights = {name: array.astype(np.float32) for name, array in random_weights(shapes, 0, 2.0)}
    assert weights["mlp.weight"].std() == pytest.approx(2 / 16, rel=0.01)
    assert weights["mlp.weight"].mean() == pytest.approx(0, abs=1e-3)
    assert not np.array_equal(weights["mlp.weight"][:64], weights["other.weight"])
    assert not np.array_equal(weights["mlp.weight"][-64:], weights["mlp.weight"][:64])
    assert weights["mlp.bias"].std() == pytest.approx(0.05, rel=0.1)
    assert (weights["norm.weight"].mean(), weights["norm.weight"].std()) == pytest.approx((1, 0.1), rel=0.1)
    assert (weights["v.ls1"].mean(), weights["v.ls1"].std()) == pytest.approx((0.5, 0.1), rel=0.1)
