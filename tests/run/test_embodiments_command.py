"""`unichunk embodiments`: which robots there are, and whether a spec of one's own is good."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING

from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.server.embodiments_command import Embodiments

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_all_robots_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert Embodiments(json=True)() == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in entries] == list(embodiment_names())
    for entry in entries:
        spec = load_spec(entry["name"])
        assert (entry["action_hz"], entry["command_hz"]) == (spec.action_hz, spec.command_hz)
        assert entry["twin"] is (spec.twin is not None)
        assert entry["driver"] is (spec.driver is not None)
        assert list(entry["cameras"]) == list(spec.cameras)
        names = []
        for name, group in entry["groups"].items():
            assert group["command_hz"] == spec.groups[name].command_hz
            names += [joint["name"] for joint in group["joints"]]
            assert all(joint["lower"] < joint["upper"] for joint in group["joints"])
        assert names == entry["joints"] == list(spec.joint_names)
    assert "so101_follow" in next(entry for entry in entries if entry["name"] == "so101")["policies"]


def test_all_robots_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert Embodiments()() == 0
    output = capsys.readouterr().out
    for name in embodiment_names():
        assert f"{name}: {load_spec(name).title}\n" in output
    assert "simulated twin: yes" in output


def test_a_file_of_ones_own_and_a_robot_that_ships(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (resources.files("unichunk.embodiments") / "specs" / "so101.json").read_text()
    path = tmp_path / "mine.json"
    path.write_text(text.replace('"name": "so101"', '"name": "mine"'))
    assert Embodiments((str(path), "so101"))() == 0
    output = capsys.readouterr().out
    assert output.startswith("mine: ")
    assert "shipped policies: none" in output
    assert "\nso101: " in output


def test_what_cannot_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.json").write_text("{}")
    for name, words in (("so100", "unknown embodiment 'so100'"), (str(tmp_path / "mine.json"), "mine.json: ")):
        assert Embodiments(("so101", name))() == 1
        output, errors = capsys.readouterr()
        assert output == ""
        assert errors.startswith("unichunk embodiments: ")
        assert words in errors
        assert len(errors.splitlines()) == 1
