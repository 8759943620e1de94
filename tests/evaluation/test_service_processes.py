"""`unichunk eval serve` as a process, with a robot and people that talk to it over the network, and its sudden ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.evaluation.served_campaign import make_served
from unichunk.server.eval_unblind_command import EvalUnblind
from unichunk.server.eval_verify_command import EvalVerify

if TYPE_CHECKING:
    from pathlib import Path

    from tests.evaluation.page_client import PageClient
    from tests.evaluation.wire_robot import WireRobot


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_a_campaign_whose_service_is_killed_in_a_trial_and_whose_policy_dies_in_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served = make_served(tmp_path)
    with served.serving() as running, running.robot() as robot:
        ann, bob = running.person("ann"), running.person("bob")
        first = ann.started("arm-1")
        # The other operator can neither end it nor take its robot, and nobody can judge it yet.
        assert bob.post(f"/api/trials/{first}/stop")[0] == 403
        assert bob.post(f"/api/trials/{first}/score", {"success": True})[0] == 403
        assert bob.post(f"/api/trials/{first}/void", {"reason": "mine now"})[0] == 403
        assert bob.post("/api/lease", {"robot": "arm-1"})[0] == 409
        assert ann.post(f"/api/trials/{first}/score", {"success": True})[0] == 409
        running.kill()
        with served.serving(port=running.port) as again:
            mine = ann.until(lambda seen: seen["mine"])
            assert (mine["trial"], mine["state"], mine["reason"]) == (first, "interrupted", "stopped by the server")
            assert ann.post(f"/api/trials/{first}/score", {"success": True})[0] == 409
            for _ in range(2):
                # A retry, of which the page does not know whether the first one came through.
                view = ann.do(f"/api/trials/{first}/void", {"reason": "power failed"}, key="the-same-key-twice")
                assert view["state"] == "void"
            ends = _run_to_the_end(ann, robot)
            # One of the policies dies of the wish, the other one does not look at it.
            assert sorted(ends) == ["awaiting score", "awaiting score", "interrupted"]
            seen = ann.now()["overview"]
            assert (seen["scored"], seen["total"], seen["voided"], seen["complete"]) == (2, 2, 2, True)
            assert again.end() == 0
            assert "Traceback" not in again.said.read_text()
    assert EvalUnblind(served.folder, tmp_path / "admin.key")() == 0
    assert EvalVerify(served.folder)() == 0
    assert "2 of 2 trials scored, 2 void, schedule drawn again from the seed" in capsys.readouterr().out


def _run_to_the_end(ann: PageClient, robot: WireRobot) -> list[str]:
    """Run all trials, with a wish that a policy dies of as long as none has; how each of them ended."""
    ends: list[str] = []
    while not ann.now()["overview"]["complete"]:
        trial = ann.started("arm-1")
        robot.moved = 0.0
        robot.wish = "" if "interrupted" in ends else "die"
        mine = ann.until(lambda seen: (seen["mine"]["state"] != "running" and seen["mine"]) or robot.moved > 2.0)
        robot.wish = ""
        if mine is True:
            ann.judge(trial, success=True)
            ends.append("awaiting score")
        else:
            assert mine["reason"] == "stopped by the server"
            assert ann.do(f"/api/trials/{trial}/void", {"reason": "it stopped by itself"})["state"] == "void"
            ends.append(mine["state"])
    return ends
