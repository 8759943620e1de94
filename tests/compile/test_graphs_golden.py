"""The golden checkpoint: compiled graphs and the plain reference give what the published code gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.compile.golden_files import CASES, GOLDEN, golden_case
from tests.compile.graph_runs import Bundle
from tests.compile.reference_model import ReferenceModel, Sequence
from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def directions() -> NDArray[np.float32]:
    with np.load(GOLDEN / "golden.npz") as recorded:
        return recorded["directions"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("golden")
    np.save(folder / "directions.npy", directions())
    out = folder / "bundle"
    options = CompileOptions(
        "libero_nonorm", "uni_posttrain", "merged", directions=folder / "directions.npy", max_delay=15
    )
    compile_checkpoint(GOLDEN, out, options)
    return Bundle(out)


def inputs(bundle: Bundle, case: dict[str, Any]) -> dict[str, Any]:
    text = tuple(case["token_ids"][case["token_positions"] > case["state_position"][0] + 1][:-1])
    return {
        "images": case["pixel_values"],
        "tokens": bundle.padded(text),
        "state": case["state_unified"],
        "noise": case["noise"],
        "previous_chunk": case.get("prev_chunk", np.full((16, 200), np.nan, np.float32)),
        "delay": np.array(case["inference_delay"], np.int64),
    }


@pytest.mark.parametrize("name", CASES)
def test_compiled_graphs_match_the_published_code(bundle: Bundle, name: str) -> None:
    case = golden_case(name)
    result = bundle.sample(inputs(bundle, case))
    expected, delay = case["out/action_unified"][0], int(case["inference_delay"])
    assert np.abs(result["actions"] - expected).max() < 3e-5
    assert result["actions"][:delay].tobytes() == expected[:delay].tobytes()


@pytest.mark.parametrize("name", CASES)
def test_the_reference_model_matches_the_published_code(name: str) -> None:
    case, checkpoint = golden_case(name), Checkpoint.open(GOLDEN)
    model = ReferenceModel(checkpoint.config, checkpoint.tensor, "float64")
    sequence = Sequence(
        case["token_ids"],
        case["token_positions"],
        case["image_positions"],
        int(case["state_position"][0]),
        case["action_positions"],
    )
    result = model.sample(
        sequence,
        case["pixel_values"],
        case["state_unified"],
        case["noise"],
        case.get("prev_chunk"),
        int(case["inference_delay"]),
        directions(),
    )
    assert np.abs(result.actions - case["out/action_unified"][0]).max() < 3e-5


def test_locked_rows_keep_every_bit(bundle: Bundle) -> None:
    case = golden_case("mpg_locked")
    values = inputs(bundle, case)
    previous = values["previous_chunk"].copy()
    previous[0, :3] = [-0.0, 1e-42, -1e-42]
    values["previous_chunk"] = previous
    actions = bundle.sample(values)["actions"]
    assert actions[:5].tobytes() == previous[:5].tobytes()
    assert not np.array_equal(actions[5:], previous[5:])


def test_a_locked_row_without_a_number_keeps_its_bits(bundle: Bundle) -> None:
    values = inputs(bundle, golden_case("locked"))
    previous = values["previous_chunk"].copy()
    previous.view(np.uint32)[4, 7] = 0x7FC12345
    values["previous_chunk"] = previous
    assert bundle.sample(values)["actions"][:5].tobytes() == previous[:5].tobytes()


def test_a_new_instruction_is_no_new_graph(bundle: Bundle, tmp_path: Path) -> None:
    """Text of any length up to the padded one; padding that says something else changes nothing."""
    case = golden_case("plain")
    values = inputs(bundle, case)
    first = bundle.sample(values)["actions"]
    tokens = values["tokens"].copy()
    tokens[tokens < 0] = -7
    assert np.array_equal(bundle.sample(values | {"tokens": tokens})["actions"], first)
    full = np.where(values["tokens"] < 0, 5, values["tokens"])
    assert np.abs(bundle.sample(values | {"tokens": full})["actions"] - first).max() > 1e-3
