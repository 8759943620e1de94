"""The rule that proposes which pairs of links matter, and the pairs that the descriptions have."""

from __future__ import annotations

import json
import sys
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest

from unichunk.kinematics import collision_pairs
from unichunk.kinematics.assembly import robot_urdf
from unichunk.kinematics.collision_pairs import MARGIN, PairReport, candidate_pairs, measure_pairs
from unichunk.kinematics.description import robot_description, robot_names
from unichunk.kinematics.robot_geometry import robot_geometry
from unichunk.kinematics.robot_model import robot_model
from unichunk.kinematics.self_collision import SelfCollision, shapes_by_link
from unichunk.kinematics.urdf_document import parse_urdf

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ROBOTS = tuple(name for name in robot_names() if robot_description(name).self_collision)


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


def test_every_link_of_a_hand_counts_but_not_against_its_own_hand():
    found = candidates("g1_o6")
    hand = ["hand_base_link", "thumb_metacarpals_base2", "thumb_metacarpals", "thumb_distal", "index_proximal"]
    for link in hand:
        assert frozenset({"torso_link", f"left_{link}"}) in found
        assert frozenset({"right_elbow_link", f"left_{link}"}) in found
        assert frozenset({"left_elbow_link", f"left_{link}"}) in found
        assert all(frozenset({f"right_{other}", f"left_{link}"}) in found for other in hand)
        assert not any(frozenset({f"left_{other}", f"left_{link}"}) in found for other in hand)


@pytest.mark.parametrize("name", ["o6_right", "inspire_left", "sharpa_wave_right", "xhand_right"])
def test_a_hand_alone_has_no_candidates(name):
    assert candidates(name) == set()


@pytest.mark.parametrize(
    ("closest", "at_rest", "overlapping", "verdict"),
    [
        (MARGIN + 1e-6, 0.02, 0.0, "never"),
        (MARGIN - 1e-6, 0.02, 0.0, "kept"),
        (-0.06, 0.02, 0.4, "kept"),
        (-0.001, 0.001, 0.85, "kept"),
        (-0.001, 0.001, 0.95, "always"),
        (-0.001, -0.0005, 0.1, "always"),
    ],
)
def test_a_pair_matters_where_it_comes_close_and_does_not_overlap_all_the_time(closest, at_rest, overlapping, verdict):
    assert PairReport(("a", "b"), closest, at_rest, overlapping).verdict == verdict


def test_a_pair_that_is_close_nearly_always_but_clear_at_rest_is_kept():
    """The upper arm at the torso: it overlaps in four samples of ten, by centimetres, and is never far."""
    (report,) = measure_pairs("g1", [("torso_link", "left_shoulder_roll_link")], 500)
    assert report.closest < -0.03
    assert report.at_rest == pytest.approx(0.0196, abs=1e-3)
    assert 0.2 < report.overlapping < 0.6


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


def link_of(joint: Element, role: str) -> str:
    found = joint.find(role)
    assert found is not None
    return found.get("link", "")


def apart(name: str) -> list[tuple[str, str]]:
    """Pairs of links that are meant to stay apart: not the same or neighbouring bodies, not in the same hand.

    Written down a second time, from the URDF, without the rule under test.
    """
    robot = parse_urdf(robot_urdf(name), name)
    carried_by = {link_of(joint, "child"): joint for joint in robot.findall("joint")}

    def upwards(link: str) -> list[str]:
        """The links from this one to the root, the first of each moving body only."""
        path = [link]
        while link in carried_by:
            joint = carried_by[link]
            link = link_of(joint, "parent")
            if joint.get("type") == "fixed":
                path[-1] = link
            else:
                path.append(link)
        return path

    palms = {upwards(hand.palm)[0] for hand in robot_description(name).hands.values()}
    shapes = shapes_by_link(robot_model(name), robot_geometry(name))
    paths = {link: upwards(link) for link in shapes}
    fingers = {"fr3_leftfinger", "fr3_rightfinger"}
    return [
        (one, other)
        for one, other in combinations(shapes, 2)
        if len(set(paths[one]) ^ set(paths[other])) > 1  # the joints between them
        and not palms & set(paths[one]) & set(paths[other])
        and {one, other} != fingers
    ]


@pytest.mark.parametrize("name", ROBOTS)
def test_at_rest_all_that_is_meant_to_stay_apart_is_clear_listed_or_not(name):
    every = SelfCollision(name, pairs=apart(name))
    rest = np.clip(np.zeros(every.model.nq), every.model.lowerPositionLimit, every.model.upperPositionLimit)
    distance, pair = (found[0] for found in every.distances(rest[None]))
    assert distance > MARGIN, every.pairs[pair]


@pytest.mark.parametrize("name", ROBOTS)
def test_no_search_brings_a_pair_close_that_is_not_listed(name):
    """From random configurations downhill, along the distance of all pairs that the description leaves out."""
    listed = {frozenset(pair) for pair in robot_description(name).self_collision}
    unlisted = SelfCollision(name, pairs=[pair for pair in apart(name) if frozenset(pair) not in listed])
    lower = np.maximum(unlisted.model.lowerPositionLimit, -np.pi)
    upper = np.minimum(unlisted.model.upperPositionLimit, np.pi)
    random = np.random.default_rng(11)
    best = random.uniform(lower, upper, (300, unlisted.model.nq))
    best = best[np.argsort(unlisted.distances(best).distance)[:5]]
    for scale in 0.4 * 0.75 ** np.arange(12):
        for i, here in enumerate(best):
            moved = random.random((40, len(here))) < 0.3
            steps = moved * scale * (upper - lower) * random.normal(size=moved.shape)
            around = np.vstack([here, np.clip(here + steps, lower, upper)])
            best[i] = around[unlisted.distances(around).distance.argmin()]
    result = unlisted.distances(best)
    worst = int(result.distance.argmin())
    slack = 0.002  # what a better search may still find
    assert result.distance[worst] > MARGIN - slack, unlisted.pairs[result.pair[worst]]


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("g1_o6", {"torso_link", "right_thumb_metacarpals"}),
        ("g1_o6", {"torso_link", "right_middle_proximal"}),
        ("g1_o6", {"head_link", "right_index_proximal"}),
        ("fr3_inspire", {"fr3_link0", "R_thumb_proximal"}),
        ("fr3_inspire", {"fr3_link1", "R_thumb_proximal"}),
        ("g1", {"torso_link", "left_shoulder_roll_link"}),
        ("adam_u", {"shoulderPitchLeft", "shoulderYawLeft"}),
        ("fr3", {"fr3_link5", "fr3_hand"}),
    ],
)
def test_the_descriptions_have_knuckles_thumb_bases_and_near_neighbours(name, pair):
    assert pair in [set(listed) for listed in robot_description(name).self_collision]
