"""`unichunk eval serve` as a process, with robots and people that talk to it over the network; and without warning, not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.evaluation.served_campaign import make_served
from unichunk.server.eval_unblind_command import EvalUnblind
from unichunk.server.eval_verify_command import EvalVerify

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes


def test_a_service_that_is_killed_in_a_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served = make_served(tmp_path)
    with served.serving() as running, running.robot() as robot:
        ann, bob = running.person("ann"), running.person("bob")
        first = ann.started("arm-1")
        # The other one can neither end it nor take its robot.
        for path in ("stop", "score", "void"):
            body = {"stop": {}, "score": {"success": True}, "void": {"reason": "mine now"}}[path]
            assert bob.post(f"/api/trials/{first}/{path}", body)[0] == 403
        assert bob.post("/api/lease", {"robot": "arm-1"})[0] == 409
        assert ann.post(f"/api/trials/{first}/score", {"success": True})[0] == 409
        assert not robot.wish
        running.kill()
        with served.serving(port=running.port) as again:
            mine = ann.until(lambda seen: seen["mine"])
            assert (mine["trial"], mine["state"], mine["reason"]) == (first, "interrupted", "stopped by the server")
            assert ann.post(f"/api/trials/{first}/score", {"success": True})[0] == 409
            # A retry of what was sent before the power failed does it once.
            for _ in range(2):
                view = ann.do(f"/api/trials/{first}/void", {"reason": "power failed"}, key="the-same-key-twice")
                assert view["state"] == "void"
            for number in range(2):
                ann.judge(ann.started("arm-1"), success=number == 0)
            seen = ann.now()["overview"]
            assert (seen["scored"], seen["total"], seen["voided"], seen["complete"]) == (2, 2, 1, True)
            assert again.end() == 0
    assert EvalUnblind(served.folder, tmp_path / "admin.key")() == 0
    assert EvalVerify(served.folder)() == 0
    assert "2 of 2 trials scored, 1 void, schedule drawn again from the seed" in capsys.readouterr().out


def test_a_policy_that_dies_in_a_trial(tmp_path: Path) -> None:
    served = make_served(tmp_path, policy_death="failure")
    with served.serving() as running, running.robot() as robot:
        ann = running.person("ann")
        ended = []
        for _ in range(2):
            trial = ann.started("arm-1")
            robot.wish = "die"
            # One of the policies dies of it, the other one does not look.
            seen = ann.until(
                lambda seen: seen["scored"] > len(ended) or (robot.moved > 0.5 and seen)  # noqa: B023
            )
            robot.wish = ""
            if seen["scored"] == len(ended):
                ann.judge(trial, success=True)
                ended.append("judged")
            else:
                ended.append("died")
            robot.moved = 0.0
        assert sorted(ended) == ["died", "judged"]
        assert ann.now()["overview"]["complete"]
        assert "told" not in running.address


def test_a_changed_policy_is_refused_before_anything_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "borrowed_policies.py"
    source = (
        "from tests.evaluation.blinding_policies import Told, Waving\n\n__all__ = ['Told', 'Waving']\n"
    )
    module.write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    served = make_served(tmp_path, module="borrowed_policies")
    module.write_text(f"{source}# better now\n")
    status, said = served.refused()
    assert status == 3
    assert len(said.splitlines()) == 1
    assert "borrowed_policies" in said


def test_a_second_service_on_a_campaign(tmp_path: Path) -> None:
    served = make_served(tmp_path)
    with served.serving():
        status, said = served.refused()
        assert (status, len(said.splitlines())) == (3, 1)
        assert "another process runs this campaign" in said
