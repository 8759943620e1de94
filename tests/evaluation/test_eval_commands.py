"""`unichunk eval` as a user meets it: from a declared campaign to its opening, and what each command refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tyro

from tests.evaluation.served_campaign import make_served
from unichunk.server import eval_extra
from unichunk.server.eval_command import Eval
from unichunk.server.eval_look_command import EvalLook
from unichunk.server.eval_plan_command import EvalPlan
from unichunk.server.eval_power_command import EvalPower
from unichunk.server.eval_report_command import EvalReport
from unichunk.server.eval_serve_command import EvalServe
from unichunk.server.eval_status_command import EvalStatus
from unichunk.server.eval_unblind_command import EvalUnblind
from unichunk.server.eval_verify_command import EvalVerify
from unichunk.server.evaluation.planning.load import load_secrets
from unichunk.server.evaluation.store.evaluation_store import EvaluationStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.evaluation.served_campaign import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return make_served(tmp_path_factory.mktemp("campaign"))


def said(command: Callable[[], int], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    status = command()
    output, errors = capsys.readouterr()
    return status, output, errors


def refusal(command: Callable[[], int], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and the one line that says why."""
    status, output, errors = said(command, capsys)
    assert output == ""
    (line,) = errors.splitlines()
    assert line.startswith("unichunk eval ")
    return status, line


def test_every_command_has_its_place() -> None:
    for words, kind in {
        "plan campaign.toml --out x": EvalPlan,
        "serve x --port 0 --sim-robots": EvalServe,
        "status x --json": EvalStatus,
        "verify x --head 1:ab --head 2:cd": EvalVerify,
        "look x --admin-key k": EvalLook,
        "unblind x --admin-key k": EvalUnblind,
        "unblind x --admin-key k --end-early broken": EvalUnblind,
        "report x --out y": EvalReport,
        "power --rates 0.5 0.7": EvalPower,
    }.items():
        assert isinstance(tyro.cli(Eval, args=words.split()).action, kind)


def test_from_plan_to_opening(tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = served.folder.parent / "campaign.toml"
    status, output, _ = said(EvalPlan(campaign, tmp_path / "made"), capsys)
    assert status == 0
    commitment = json.loads((tmp_path / "made" / "commitment.json").read_bytes())["commitment"]
    assert f"commitment: {commitment}\n" in output
    assert "served: 2 trials: 2 policies on 1 layout, K = 1 each, replicate blocks" in output
    assert "power at K = 1 on 1 layout, level 0.05, 1 pair (Holm)" in output
    assert str(tmp_path / "made" / "private" / "admin.key") in output
    assert "source text of the factory's module" in output
    status, line = refusal(EvalPlan(campaign, tmp_path / "made"), capsys)
    assert (status, "made" in line) == (3, True)


def test_status_says_nothing_per_policy(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    status, output, _ = said(EvalStatus(served.folder), capsys)
    assert status == 0
    assert "0 of 2 trials scored; running" in output
    assert "layout table  0 of 1" not in output
    head = output.splitlines()[-1].rpartition(" ")[2]
    status, output, _ = said(EvalStatus(served.folder, json=True), capsys)
    found = json.loads(output)
    assert (found["head"], found["total"], found["states"]) == (head, 2, {"planned": 2})
    for name in ("waving", "told"):
        assert name not in output
    assert said(EvalVerify(served.folder, head=(head,)), capsys)[0] == 0


def test_verify_says_what_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served = make_served(tmp_path)
    status, output, _ = said(EvalVerify(served.folder, admin_key=tmp_path / "admin.key"), capsys)
    assert status == 0
    assert "schedule drawn again from the seed" in output
    status, line = refusal(EvalVerify(served.folder, head=(f"5:{'0' * 64}",)), capsys)
    assert status == 1
    path = served.folder / "commitment.json"
    content = path.read_text()
    path.write_text(content.replace(served.frozen.plan.commitment[:8], "00000000"))
    status, line = refusal(EvalVerify(served.folder), capsys)
    assert status == 1
    assert "commitment" in line


@pytest.mark.parametrize(
    "command",
    [
        EvalStatus,
        EvalVerify,
        lambda folder: EvalLook(folder, folder / "admin.key"),
        lambda folder: EvalUnblind(folder, folder / "admin.key"),
        EvalReport,
        EvalServe,
        lambda folder: EvalPlan(folder / "campaign.toml", folder / "out"),
        lambda folder: EvalPower(folder / "campaign.toml"),
    ],
)
def test_a_folder_that_is_none(tmp_path: Path, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(command(tmp_path / "nothing"), capsys)[0] == 3


def test_what_is_sealed_stays_so(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    status, line = refusal(EvalUnblind(served.folder, served.folder.parent / "admin.key"), capsys)
    assert (status, "2 of 2 trials have no score yet" in line) == (3, True)
    status, line = refusal(EvalReport(served.folder), capsys)
    assert (status, "unichunk eval unblind" in line) == (3, True)
    assert not (served.folder / "unblinded.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": 70000}, "--port: expected 0 to 65535"),
        ({"tls_cert": Path("x")}, "both or none"),
        ({"host": "0.0.0.0"}, "add --tls-cert and --tls-key"),
    ],
)
def test_servers_that_cannot_be_meant(
    served: Served, options: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, line = refusal(EvalServe(served.folder, **options), capsys)
    assert (status, words in line) == (2, True)


def test_a_server_wants_to_know_who_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    served = make_served(tmp_path)
    (served.folder / "private" / "keys.json").unlink()
    status, line = refusal(EvalServe(served.folder, port=0), capsys)
    assert (status, "unichunk keys add" in line) == (2, True)
    status, line = refusal(EvalServe(served.folder, port=0, keys=tmp_path / "keys.json"), capsys)
    assert status == 3


def test_a_campaign_that_somebody_runs(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    store = EvaluationStore.open(served.folder, load_secrets(served.folder))
    try:
        status, line = refusal(EvalServe(served.folder, port=0), capsys)
    finally:
        store.close()
    assert (status, "another process runs this campaign" in line) == (3, True)


def test_a_changed_policy_is_refused_before_anything_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = tmp_path / "borrowed_policies.py"
    source = "from tests.evaluation.blinding_policies import Told, Waving\n\n__all__ = ['Told', 'Waving']\n"
    module.write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    served = make_served(tmp_path, module="borrowed_policies")
    module.write_text(f"{source}# better now\n")
    status, line = refusal(EvalServe(served.folder, port=0, log_level="error"), capsys)
    assert status == 3
    assert "policies[0] (waving): SHA-256 is" in line
    # Nothing was recorded, and nothing is held: the next one could begin.
    EvaluationStore.open(served.folder, load_secrets(served.folder)).close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--rates"),
        ({"rates": (0.5,)}, "2 to 16"),
        ({"rates": (0.5, 1.5)}, "0 to 1, got 1.5"),
        ({"rates": (0.5, 0.6), "layouts": 0}, "--layouts"),
        ({"rates": (0.5, 0.6), "trials_per_cell": 0}, "--trials-per-cell"),
        ({"rates": (0.5, 0.6), "power": 1.0}, "--power"),
        ({"rates": (0.5, 0.6), "spread": -1.0}, "--spread"),
    ],
)
def test_power_that_cannot_be_meant(options: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, line = refusal(EvalPower(**options), capsys)
    assert (status, words in line) == (2, True)


def test_power_before_a_campaign(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    status, output, _ = said(EvalPower(rates=(0.5, 0.9), layouts=2, trials_per_cell=10), capsys)
    assert status == 0
    assert "40 trials: 2 policies on 2 layouts" in output
    assert output.splitlines()[-1].startswith("power 0.8 for every pair that differs: K = ")
    campaign = served.folder.parent / "campaign.toml"
    status, output, _ = said(EvalPower(campaign, rates=(0.5, 0.9), trials_per_cell=10), capsys)
    assert "waving (0.50) against told (0.90)" in output
    status, line = refusal(EvalPower(campaign, rates=(0.5, 0.6, 0.7)), capsys)
    assert (status, "expected 2, one for each policy, got 3" in line) == (2, True)
    status, output, _ = said(EvalPower(rates=(0.5, 0.5), trials_per_cell=2), capsys)
    assert output.splitlines()[-1] == "power 0.8 for every pair that differs: no K does"


def test_without_the_extra(served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(eval_extra, "find_spec", lambda name: None if name == "sqlalchemy" else object())
    for command in (EvalStatus(served.folder), EvalVerify(served.folder), EvalServe(served.folder)):
        status, line = refusal(command, capsys)
        assert (status, "pip install 'unichunk[evaluation]'" in line) == (2, True)
        assert "sqlalchemy" in line


def test_the_commands_are_known_without_the_extra() -> None:
    import subprocess

    program = (
        "import sys\n"
        "import unichunk.server.command_line\n"
        "wanted = {'sqlalchemy', 'alembic', 'scipy', 'statsmodels', 'pyarrow', 'reportlab', 'jinja2', 'fastapi',"
        " 'cryptography', 'matplotlib'}\n"
        "print(sorted(wanted & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")
