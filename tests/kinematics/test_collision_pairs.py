"""The rule that proposes which pairs of links matter, and the pairs that the descriptions have."""

from __future__ import annotations

import json
import sys

import pytest

from unichunk.kinematics import collision_pairs
from unichunk.kinematics.collision_pairs import PairReport, candidate_pairs, measure_pairs
from unichunk.kinematics.description import robot_description
from unichunk.kinematics.robot_geometry import robot_geometry
from unichunk.kinematics.robot_model import robot_model
from unichunk.kinematics.self_collision import shapes_by_link


def candidates(name: str) -> set[frozenset[str]]:
    model, geometry = robot_model(name), robot_geometry(name)
    hands = list(robot_description(name).hands.values())
    return {frozenset(pair) for pair in candidate_pairs(model, list(shapes_by_link(model, geometry)), hands)}


def test_links_of_one_body_and_of_neighbouring_ones_are_no_candidates():
    found = candidates("fr3_gripper")
    assert frozenset({"fr3_link2", "fr3_link4"}) in found
    assert frozenset({"fr3_link2", "fr3_link3"}) not in found  # one joint between them
    assert frozenset({"fr3_link7", "fr3_hand"}) not in found  # fixed to each other
    assert frozenset({"fr3_link6", "fr3_hand"}) not in found  # one joint between them, though two links
    assert frozenset({"fr3_hand", "fr3_leftfinger"}) not in found
    assert frozenset({"fr3_leftfinger", "fr3_rightfinger"}) not in found  # they are made to meet
    assert frozenset({"fr3_link5", "fr3_leftfinger"}) in found


def test_of_a_finger_the_last_link_counts_and_not_against_its_own_hand():
    found = candidates("g1_o6")
    assert frozenset({"torso_link", "left_index_distal"}) in found
    assert frozenset({"right_index_distal", "left_thumb_distal"}) in found
    assert frozenset({"left_hand_base_link", "right_hand_base_link"}) in found
    assert frozenset({"left_hand_base_link", "left_index_distal"}) not in found
    assert frozenset({"left_index_distal", "left_thumb_distal"}) not in found
    assert not any("proximal" in link or "metacarpals" in link for pair in found for link in pair)


@pytest.mark.parametrize("name", ["o6_right", "inspire_left", "sharpa_wave_right", "xhand_right"])
def test_a_hand_alone_has_no_candidates(name):
    assert candidates(name) == set()


@pytest.mark.parametrize(
    ("closest", "close", "verdict"), [(0.001, 0.0, "never"), (-0.001, 0.95, "always"), (-0.001, 0.85, "kept")]
)
def test_a_pair_matters_where_it_can_overlap_and_is_not_close_all_the_time(closest, close, verdict):
    assert PairReport(("a", "b"), closest, close, 0.0).verdict == verdict


def test_the_descent_finds_overlaps_that_the_samples_miss():
    """The arm must be folded just so for this one."""
    pair = ("fr3_link2", "fr3_link5")
    few, many = (measure_pairs("fr3", [pair], samples)[0] for samples in (50, 5000))
    assert few.overlapping == 0
    assert few.closest < 0
    assert few.closest == pytest.approx(many.closest, abs=5e-3)


@pytest.mark.parametrize("name", ["so101", "rm75"])
def test_the_description_has_what_the_rule_proposes(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["collision_pairs", name, "--samples", "3000"])
    collision_pairs.main()
    printed = capsys.readouterr()
    proposed = json.loads("{" + printed.out.rstrip().rstrip(",") + "}")["self_collision"]
    assert proposed == [list(pair) for pair in robot_description(name).self_collision]
    assert printed.err.count("kept") == len(proposed)
    assert all(len(line) <= 120 for line in printed.out.splitlines())


def test_the_pairs_that_matter_are_among_the_candidates():
    for name in ("d1", "fr3_inspire", "adam_u"):
        assert {frozenset(pair) for pair in robot_description(name).self_collision} <= candidates(name)
