"""Campaign files: what is read, and what is refused in one line that says where, what and what was meant."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.one_line import refused, refused_at_most
from unichunk.server.evaluation.errors import BadCampaign
from unichunk.server.evaluation.planning.campaign import Campaign, Randomization
from unichunk.server.evaluation.planning.campaign_checks import MAX_TRIALS, warnings
from unichunk.server.evaluation.planning.campaign_file import MAX_BYTES, parse_campaign, read_campaign

if TYPE_CHECKING:
    from pathlib import Path

TOML = """
name = "cups"
robot = "so101"
trials_per_cell = 20
randomization = "layout grouped"

[[policies]]
name = "ours"
source = "bundles/ours"
refinement_rounds = 1

[[policies]]
name = "theirs"
source = "openpi+ws://localhost:8000"

[[tasks]]
name = "stack"
instruction = "stack the cups"
success = "one in the other,\\nfor 2 s"
timeout_s = 45
rubric = ["grasped", "lifted"]

[[layouts]]
name = "left"
task = "stack"
photo = "left.jpg"

[[layouts]]
name = "right"
task = "stack"

[analysis]
pairs = "baseline"
baseline = "theirs"
"""

DOCUMENT: dict[str, Any] = {
    "name": "cups",
    "robot": "so101",
    "trials_per_cell": 20,
    "randomization": "layout grouped",
    "policies": [
        {"name": "ours", "source": "bundles/ours", "refinement_rounds": 1},
        {"name": "theirs", "source": "openpi+ws://localhost:8000"},
    ],
    "tasks": [
        {
            "name": "stack",
            "instruction": "stack the cups",
            "success": "one in the other,\nfor 2 s",
            "timeout_s": 45.0,
            "rubric": ["grasped", "lifted"],
        }
    ],
    "layouts": [{"name": "left", "task": "stack", "photo": "left.jpg"}, {"name": "right", "task": "stack"}],
    "analysis": {"pairs": "baseline", "baseline": "theirs"},
}


def parsed(document: Any) -> Campaign:
    return parse_campaign(json.dumps(document).encode(), "c.json")


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with one value set; `...` removes it."""
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    *way, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    for key in way:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def test_toml_and_json_are_the_same_campaign(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(TOML)
    (tmp_path / "C.JSON").write_text(json.dumps(DOCUMENT))
    campaign = read_campaign(tmp_path / "c.toml")
    assert campaign == read_campaign(tmp_path / "C.JSON") == parsed(DOCUMENT)
    assert campaign.randomization is Randomization.LAYOUT_GROUPED
    assert campaign.trials == 80
    assert campaign.tasks[0].timeout_s == 45.0
    assert campaign.analysis.baseline == "theirs"


WRONG = [
    ("trials_per_cell", 0, "campaign.trials_per_cell: expected int >= 1, got 0"),
    ("trials_per_cell", True, "campaign.trials_per_cell: expected int, got"),
    ("trials_per_cell", "20", "campaign.trials_per_cell: expected int, got str, got '20'"),
    ("trials_per_cel", 3, "campaign: unknown field 'trials_per_cel': did you mean trials_per_cell?"),
    ("policies/1/sauce", "x", "campaign.policies[1]: unknown field 'sauce': did you mean source?"),
    ("tasks/0/colour", "x", "campaign.tasks[0]: unknown field 'colour': expected one of instruction, name, rubric"),
    ("randomization", "replicate block", "campaign.randomization: 'replicate block': did you mean replicate blocks?"),
    ("randomization", "xyz", "campaign.randomization: 'xyz': expected one of independent draw, layout grouped"),
    ("rules/policy_death", "failed", "campaign.rules.policy_death: 'failed': did you mean failure?"),
    ("layouts/1/task", ..., "campaign.layouts[1]: object missing required field `task`"),
    ("layouts/1/task", "stak", "campaign.layouts[1].task: unknown task 'stak': did you mean stack?"),
    ("layouts/1/task", "push", "campaign.layouts[1].task: unknown task 'push': expected one of stack"),
    ("layouts/1/name", "left", "campaign.layouts[1].name: 'left' is there already"),
    ("layouts/1/name", "LEFT", "campaign.layouts[1].name: 'LEFT' is there already, as 'left'"),
    ("policies/1/name", "Ours", "campaign.policies[1].name: 'Ours' is there already, as 'ours'"),
    ("policies/1/name", "a/b", "campaign.policies[1].name: expected 1 to 64 letters, digits"),
    ("policies/1/name", "", "campaign.policies[1].name: expected str of length >= 1, got ''"),
    ("policies/1/source", "http://x:1", "campaign.policies[1].source: 'http://x:1': expected a folder", "openpi+ws://"),
    ("policies/1/source", "openpi+http://x", "campaign.policies[1].source", "openpi+wss://"),
    ("policies/1/source", "tcp:x", "campaign.policies[1].source: 'tcp:x'"),
    ("policies/1/refinement_rounds", 1, "campaign.policies[1].refinement_rounds: expected 0", "got 1"),
    ("policies/0/sha256", "ABC", "campaign.policies[0].sha256: expected 64 hexadecimal digits", "'ABC'"),
    ("policies/1", ..., "campaign.policies: expected array of length >= 2, got a list of 1"),
    ("policies", {"name": "x"}, "campaign.policies: expected array, got object, got a table of 1"),
    ("tasks/1", None, "campaign.tasks[1]"),
    ("tasks/0/rubric", ["grasped", "Grasped "], "campaign.tasks[0].rubric[1]: 'Grasped ' is there already"),
    ("tasks/0/timeout_s", 0, "campaign.tasks[0].timeout_s: expected float > 0.0, got 0"),
    ("tasks/0/timeout_s", 3601, "campaign.tasks[0].timeout_s: expected float <= 3600.0, got 3601"),
    ("tasks/0/instruction", "go\nnow", "campaign.tasks[0].instruction: expected one line of printable", "'\\n'"),
    ("tasks/0/success", "a\x00b", "campaign.tasks[0].success: expected printable characters and", "'\\x00'"),
    ("tasks/0/instruction", "\u202egnp", "campaign.tasks[0].instruction", "'\\u202e'"),
    ("tasks/0/success", "\ud800", "campaign.tasks[0].success", "'\\ud800'"),
    ("analysis/baseline", "their", "campaign.analysis.baseline: unknown policy 'their': did you mean theirs?"),
    ("analysis/alpha", 1, "campaign.analysis.alpha: expected float < 1.0, got 1"),
    ("blinding/equalized_ticks", 3, "campaign.blinding.equalized_ticks: expected at least `rows`, 8, got 3"),
    ("blinding/equalized_ticks", 3.5, "campaign.blinding.equalized_ticks"),
    ("name", "x" * 65, "campaign.name: expected str of length <= 64, got 'xxx"),
]


@pytest.mark.parametrize(("path", "value", "words"), [(path, value, words) for path, value, *words in WRONG])
def test_what_is_wrong_is_said_with_its_place(path: str, value: Any, words: list[str]) -> None:
    with refused(BadCampaign, "c.json: ", *words):
        parsed(changed(path, value) if path != "tasks/1" else {**DOCUMENT, "tasks": [*DOCUMENT["tasks"], value]})


def test_a_task_that_no_layout_tries_is_refused() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["tasks"].append({**document["tasks"][0], "name": "push"})
    with refused(BadCampaign, "campaign.tasks[1]: no layout has task 'push'"):
        parsed(document)


def test_more_trials_than_anybody_does_are_refused() -> None:
    with refused(BadCampaign, "campaign.trials_per_cell: 1000", "2 layouts", "6 policies are 12000", str(MAX_TRIALS)):
        parsed({**changed("trials_per_cell", 1000), "policies": [*DOCUMENT["policies"], *more(4)]})
    assert parsed({**changed("trials_per_cell", 833), "policies": [*DOCUMENT["policies"], *more(4)]}).trials == 9996


def more(count: int) -> list[dict[str, Any]]:
    return [{"name": f"p{number}", "source": f"bundles/{number}"} for number in range(count)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.toml", b"name = \n", ("not TOML", "line 1")),
        ("c.toml", b"trials_per_cell = 0x" + b"f" * 9000 + b'\nname = "x"', ("campaign", "36000 bits")),
        ("c.toml", b'name = "a"\nname = "b"', ("not TOML",)),
        ("c.toml", b"\xff\xfe", ("not TOML", "utf-8")),
        ("c.toml", b"name = 1979-05-27", ("campaign.name: expected str, got", "1979")),
        ("c.toml", b"[analysis]\nalpha = nan\n", ("campaign",)),
        ("c.json", b'{"name": "a", "name": "b"}', ("not JSON", "'name' comes twice")),
        ("c.json", b'{"name": NaN}', ("not JSON", "NaN")),
        ("c.json", b"[" * 100_000, ("not JSON",)),
        ("c.json", b"[]", ("campaign: expected object, got array, got a list of 0",)),
        ("c.json", b"", ("not JSON",)),
        ("c.json", b'{"na\\nme": 1}', ("campaign: key 'na\\nme'", "printable")),
        ("c.yaml", b"", ("expected a file that ends in .toml or .json",)),
        ("c.toml", b"#" * (MAX_BYTES + 1), (f"at most {MAX_BYTES} bytes",)),
    ],
)
def test_files_that_are_no_campaign(tmp_path: Path, name: str, content: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with refused(BadCampaign, name, *words):
        read_campaign(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path / "x\0.toml"):
        with refused(BadCampaign, "cannot be read"):
            read_campaign(path)
    (tmp_path / "folder.toml").mkdir()
    with refused(BadCampaign, "cannot be read", "directory"):
        read_campaign(tmp_path / "folder.toml")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
places = st.sampled_from(
    [*DOCUMENT, "policies/0", "policies/0/name", "policies/1/source", "tasks/0", "tasks/0/rubric", "tasks/0/rubric/0",
     "layouts/1", "layouts/0/task", "analysis/alpha", "blinding", "blinding/rows", "rules", "new"]
)  # fmt: skip


@given(places, values)
def test_whatever_stands_anywhere_is_taken_or_refused_in_one_line(path: str, value: Any) -> None:
    with refused_at_most(BadCampaign):
        parsed(changed(path, value))


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused_in_one_line(content: bytes) -> None:
    for name in ("c.toml", "c.json"):
        with refused_at_most(BadCampaign):
            parse_campaign(content, name)


def test_what_is_worth_a_second_look() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["randomization"] = "independent draw"
    document["policies"] += [
        {"name": "again", "source": "elsewhere/ours", "refinement_rounds": 1},
        {"name": "one", "source": "python:m:one"},
        {"name": "two", "source": "python:m:two"},
    ]
    document["layouts"].append({"name": "far", "task": "stack", "photo": "left.jpg"})
    said = list(warnings(parsed(document)))
    assert len(said) == 7
    for words in (
        "policies[1] (theirs): its hash vouches for this alone: declared only",
        "policies[2] (again): the same as ours",
        "policies[3] (one): its hash vouches for this alone: source text",
        "policies[4] (two): its hash vouches",
        "layouts[1] (right): no reference photo",
        "layouts[2] (far): the same photo as left",
        "randomization: 'independent draw' balances nothing",
    ):
        assert any(line.startswith(words) for line in said), words
    assert not any("\n" in line for line in said)
