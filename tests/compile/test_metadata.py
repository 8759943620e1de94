"""Metadata of datasets: which entry a name means, and the rate of the videos."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.compile.golden_files import GOLDEN, drop, golden_metadata, put
from tests.one_line import refused
from unichunk.runtime.compile.data_config import parse_data_config
from unichunk.runtime.compile.keys import build_keys
from unichunk.runtime.compile.metadata import DatasetMetadata, check_metadata, check_views, frame_rate, read_metadata
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

DATASET = "uni_posttrain"


def write(folder: Path, content: Any, dataset: str = DATASET) -> Path:
    (folder / f"{dataset}_metadata.json").write_text(json.dumps(content))
    return folder


def mean(meta: DatasetMetadata) -> float:
    found = meta.statistics.action["gripper_position"].mean
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("variant", "section", "entry"),
    [
        ("merged", DATASET, None),
        (DATASET, DATASET, None),
        ("task_a", f"{DATASET}_variants", "task_a"),
        ("task", f"{DATASET}_variants", "task_a"),
        ("libero", f"{DATASET}_variants", "libero"),
        ("embodiment", f"{DATASET}_variants", "libero"),
    ],
)
def test_which_entry_a_name_means(variant: str, section: str, entry: str | None) -> None:
    document = golden_metadata()[section]
    expected = document[entry] if entry else document
    meta = read_metadata(GOLDEN, DATASET, variant)
    assert mean(meta) == expected["statistics"]["action"]["gripper_position"]["mean"][0]
    assert meta.stats_level == expected["stats_level"]
    assert meta.embodiment_tag == "libero"


def test_statistics_are_those_of_the_file() -> None:
    document = golden_metadata()[DATASET]["statistics"]
    meta = read_metadata(GOLDEN, DATASET)
    for section in ("state", "action"):
        for key, statistics in getattr(meta.statistics, section).items():
            for name in ("min", "max", "mean", "std", "q01", "q99"):
                assert list(getattr(statistics, name)) == document[section][key][name]
    assert meta.modalities.state["eef_rotation"].rotation_type == "axis_angle"
    assert meta.modalities.action["gripper_position"].values == 1


def test_merged_is_the_datasets_own_entry_whatever_its_level(tmp_path: Path) -> None:
    document = put(golden_metadata(), f"{DATASET}.stats_level", "task")
    assert read_metadata(write(tmp_path, document), DATASET).stats_level == "task"


def test_a_variants_name_goes_before_levels(tmp_path: Path) -> None:
    document = golden_metadata()
    variants = document[f"{DATASET}_variants"]
    variants["task"] = variants["libero"]
    assert read_metadata(write(tmp_path, document), DATASET, "task").stats_level == "embodiment"


def test_without_variants(tmp_path: Path) -> None:
    write(tmp_path, drop(golden_metadata(), f"{DATASET}_variants"))
    assert read_metadata(tmp_path, DATASET).stats_level == "merged"
    with refused(CheckpointError, "'task_a'", "choose from merged"):
        read_metadata(tmp_path, DATASET, "task_a")


def test_statistics_may_be_missing(tmp_path: Path) -> None:
    write(tmp_path, drop(golden_metadata(), f"{DATASET}.statistics"))
    assert read_metadata(tmp_path, DATASET).statistics.state == {}


def test_an_ambiguous_level_lists_its_entries(tmp_path: Path) -> None:
    document = golden_metadata()
    variants = document[f"{DATASET}_variants"]
    variants["task_b"] = variants["task_a"]
    with refused(CheckpointError, "'task'", "any of task_a, task_b", "libero (embodiment)"):
        read_metadata(write(tmp_path, document), DATASET, "task")


def test_unknown_variant_lists_those_that_exist() -> None:
    with refused(CheckpointError, "'task_c'", "merged", "task_a (task)", "libero (embodiment)"):
        read_metadata(GOLDEN, DATASET, "task_c")


def test_unknown_dataset_lists_those_that_exist(tmp_path: Path) -> None:
    with refused(CheckpointError, "'other'", "no metadata", DATASET):
        read_metadata(GOLDEN, "other")
    with refused(CheckpointError, "'other'", "this checkpoint has no metadata"):
        read_metadata(tmp_path, "other")


def test_a_file_of_another_dataset(tmp_path: Path) -> None:
    write(tmp_path, golden_metadata(), "renamed")
    with refused(CheckpointError, "no dataset 'renamed'", f"it has {DATASET}, {DATASET}_variants"):
        read_metadata(tmp_path, "renamed")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1, 2]", b'{"uni_posttrain": 3}', b'{"x": ' + b"[" * 9000])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{DATASET}_metadata.json").write_bytes(content)
    with refused(CheckpointError, f"{DATASET}_metadata.json"):
        read_metadata(tmp_path, DATASET)


@pytest.mark.parametrize("field", ["modalities", "embodiment_tag"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    with refused(CheckpointError, field, DATASET):
        read_metadata(write(tmp_path, drop(golden_metadata(), f"{DATASET}.{field}")), DATASET)


def test_statistics_that_are_no_numbers_may_stand_where_nobody_uses_them(tmp_path: Path) -> None:
    write(tmp_path, put(golden_metadata(), f"{DATASET}.statistics.state.eef_position.std", [math.nan, math.inf, 1.0]))
    assert "NaN" in (tmp_path / f"{DATASET}_metadata.json").read_text()
    meta = read_metadata(tmp_path, DATASET)
    mode_none, mean_std = (
        parse_data_config(json.dumps(data_config(mode)).encode(), "mine.json") for mode in ("none", "mean_std")
    )
    build_keys(mode_none, meta)
    with refused(CheckpointError, "state key 'eef_position'", "'std'", "nan", "'mean_std'"):
        build_keys(mean_std, meta)
    meta = read_metadata(
        write(tmp_path, put(golden_metadata(), f"{DATASET}.statistics.state.eef_position.mean", [0.0, 0.0, math.inf])),
        DATASET,
    )
    with refused(CheckpointError, "state key 'eef_position'", "'mean'", "inf"):
        build_keys(mean_std, meta)


def data_config(mode: str) -> dict[str, Any]:
    state = {"eef_position": {"slots": [0, 3], "mode": mode}}
    return {"name": "mine", "views": ["top_view"], "state": state, "action": {"eef_position": {"slots": [0, 3]}}}


def of_two_robots() -> dict[str, Any]:
    """A dataset that holds an entry for each robot and none of its own."""
    document = golden_metadata()
    entries = {name: document[f"{DATASET}_variants"][name] for name in ("libero", "task_a")}
    return {DATASET: {"panda": entries["libero"], "walker": entries["task_a"]}}


def test_a_dataset_may_hold_an_entry_for_each_robot(tmp_path: Path) -> None:
    write(tmp_path, of_two_robots())
    check_metadata(tmp_path, DATASET)
    variants = golden_metadata()[f"{DATASET}_variants"]
    for name, entry in (("panda", variants["libero"]), ("walker", variants["task_a"])):
        assert (
            mean(read_metadata(tmp_path, DATASET, name)) == entry["statistics"]["action"]["gripper_position"]["mean"][0]
        )
    for name in ("merged", DATASET, "libero_v2"):
        with refused(CheckpointError, f"no statistics {name!r}", "choose from panda (embodiment), walker (task)"):
            read_metadata(tmp_path, DATASET, name)


def test_what_is_wrong_with_one_robots_entry_names_it(tmp_path: Path) -> None:
    write(tmp_path, drop(of_two_robots(), f"{DATASET}.walker.modalities"))
    with refused(CheckpointError, f"{DATASET}: walker: ", "`modalities`"):
        read_metadata(tmp_path, DATASET, "panda")
    with refused(CheckpointError, f"{DATASET}: walker: ", "`modalities`"):
        check_metadata(tmp_path, DATASET)


def test_frame_rate() -> None:
    meta = read_metadata(GOLDEN, DATASET)
    assert frame_rate(meta, ("top_view", "wrist_view")) == 20
    check_views(meta, ("top_view", "wrist_view"))
    with refused(CheckpointError, "'side_view'", "top_view, wrist_view"):
        check_views(meta, ("top_view", "side_view"))


@pytest.mark.parametrize(
    ("fps", "words"),
    [
        (10.0, "10.0"),
        (None, "None"),
        (29.97, "29.97"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (0.0, "0.0"),
        (-20, "-20"),
    ],
)
def test_frame_rates_that_are_none(tmp_path: Path, fps: float | None, words: str) -> None:
    document = put(golden_metadata(), f"{DATASET}.modalities.video.wrist_view.fps", fps)
    meta = read_metadata(write(tmp_path, document), DATASET)
    with refused(CheckpointError, words, "one whole number", "--action-hz"):
        frame_rate(meta, ("top_view", "wrist_view"))
    assert frame_rate(meta, ("top_view",)) == 20
    if fps != 10.0:
        with refused(CheckpointError, words, "one whole number"):
            frame_rate(meta, ("wrist_view",))
