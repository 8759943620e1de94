"""What is said to service managers and container engines: every path, option and number in it is real."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from typing import TYPE_CHECKING, Any

import pytest
import tyro

from tests.pyproject import ROOT, pyproject
from unichunk.server.keys_command import Keys
from unichunk.server.serve_command import Serve
from unichunk.server.swap_command import Drain, Swap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEPLOY = ROOT / "server" / "deploy"
UNIT = DEPLOY / "unichunk-serve.service"
CONTAINERFILE = DEPLOY / "Containerfile"
COMMANDS: dict[str, Any] = {"serve": Serve, "keys": Keys, "swap": Swap, "drain": Drain}


def parsed(words: list[str]) -> Any:
    """A command line as the command takes it."""
    return tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="unichunk", args=words)


def serve(words: list[str]) -> Serve:
    command = parsed(["serve", *words])
    assert isinstance(command, Serve)
    command._check()
    assert not command.insecure
    return command


class Unit:
    """A unit file; a key may stand in it several times."""

    def __init__(self, text: str) -> None:
        section = ""
        self.found: dict[tuple[str, str], list[str]] = {}
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                section = line.strip("[]")
                continue
            key, _, value = line.partition("=")
            self.found.setdefault((section, key), []).append(value)

    def __call__(self, key: str, section: str = "Service") -> str:
        (value,) = self.found[section, key]
        return value


@pytest.fixture(scope="module")
def unit() -> Unit:
    return Unit(UNIT.read_text(encoding="utf-8"))


def seconds(text: str) -> float:
    return float(text)


def test_the_unit_starts_a_command_that_takes_these_options(unit: Unit) -> None:
    path, name, *words = unit("ExecStart").split()
    assert path.endswith("/bin/unichunk")
    assert name == "serve"
    assert words.pop() == "$UNICHUNK_OPTIONS"
    command = serve(words)
    assert command.host == "0.0.0.0"
    assert command.keys is not None
    assert command.curve is not None
    assert command.log_format == "json"
    state = f"/var/lib/{unit('StateDirectory')}/"
    assert str(command.keys).startswith(state)
    assert str(command.curve).startswith(state)
    credentials = {value.partition(":")[0] for value in unit.found["Service", "LoadCredential"]}
    assert {str(command.tls_cert), str(command.tls_key)} == {f"%d/{name}" for name in credentials}


def test_the_unit_waits_for_the_drain_and_leaves_workers_to_the_front(unit: Unit) -> None:
    command = serve(unit("ExecStart").split()[2:-1])
    assert seconds(unit("TimeoutStopSec")) > command.drain_timeout + 15
    assert seconds(unit("TimeoutStartSec")) >= 600
    assert seconds(unit("WatchdogSec")) >= 10
    assert unit("Type") == "notify"
    assert unit("NotifyAccess") == "main"
    assert unit("KillMode") == "mixed"
    assert unit("Restart") == "on-failure"


def test_the_unit_gives_the_service_as_little_as_it_needs(unit: Unit) -> None:
    assert unit("CapabilityBoundingSet") == unit("AmbientCapabilities") == ""
    assert unit("ProtectSystem") == "strict"
    assert unit("LimitCORE") == "0"
    assert unit("UMask") == "0077"
    assert unit("StateDirectoryMode") == "0700"
    yes = {key for (section, key), values in unit.found.items() if section == "Service" and values == ["yes"]}
    assert yes >= {
        "DynamicUser",
        "LockPersonality",
        "NoNewPrivileges",
        "PrivateDevices",
        "PrivateTmp",
        "ProtectHome",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RestrictNamespaces",
        "RestrictSUIDSGID",
    }
    assert unit.found["Service", "SystemCallFilter"] == ["@system-service", "~@privileged"]


def test_systemd_has_nothing_to_say_against_the_unit(unit: Unit, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        # Where there is no systemd, the names of its sections at least.
        assert {section for section, _ in unit.found} == {"Unit", "Service", "Install"}
        return
    program = unit("ExecStart").split()[0]
    copy = tmp_path / UNIT.name
    # The program is not where it will be; that alone may be otherwise.
    copy.write_text(UNIT.read_text(encoding="utf-8").replace(program, sys.executable), encoding="utf-8")
    ran = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = [line for line in ran.stderr.splitlines() if UNIT.name in line]
    assert said == []
    assert ran.returncode == 0


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Instructions of a Containerfile and what they are told."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n", "", text))
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        yield name, rest.strip()


KNOWN = {
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "RUN",
    "STOPSIGNAL",
    "USER",
    "WORKDIR",
}


@pytest.fixture(scope="module")
def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions(CONTAINERFILE.read_text(encoding="utf-8")):
        assert name in KNOWN
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
        else:
            assert name == "ARG"
    return found


def test_the_container_runs_a_command_that_takes_these_options(stages: list[list[tuple[str, str]]]) -> None:
    last = dict(stages[-1])
    assert json.loads(last["ENTRYPOINT"]) == ["unichunk", "serve"]
    command = serve(json.loads(last["CMD"]))
    assert command.host == "0.0.0.0"
    assert sorted(map(int, last["EXPOSE"].split())) == sorted([command.port, command.zmq_port])
    assert last["STOPSIGNAL"] == "SIGTERM"
    health = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])
    assert health[:2] == ["python", "-c"]
    compile(health[2], "health", "exec")
    assert f":{command.port}/healthz" in health[2]


def test_the_container_is_not_root_and_holds_no_compiler(stages: list[list[tuple[str, str]]]) -> None:
    names = [name for name, _ in stages[-1]]
    last = dict(stages[-1])
    user, group = map(int, last["USER"].split(":"))
    assert user > 0
    assert group > 0
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert "RUN" not in names
    assert last["FROM"].endswith("-slim")
    copied = [rest for name, rest in stages[-1] if name == "COPY"]
    assert copied == ["--from=build /opt/unichunk /opt/unichunk"]


def test_the_container_is_built_from_what_is_there(stages: list[list[tuple[str, str]]]) -> None:
    first, _ = stages
    assert first[0] == ("FROM", "python:${PYTHON}-slim AS build")
    sources: set[str] = set()
    for name, rest in first:
        if name == "COPY":
            *these, target = rest.split()
            sources.update(these)
            assert target == "./" or [target] == these
    assert all((ROOT / source).exists() for source in sources)
    packages = set(pyproject()["tool"]["setuptools"]["package-dir"].values())
    assert packages <= sources
    run = next(rest for name, rest in first if name == "RUN")
    extra = re.search(r"'\.\[(\w+)\]'", run)
    assert extra is not None
    assert extra[1] in pyproject()["project"]["optional-dependencies"]
    subprocess.run(["sh", "-n", "-c", run], check=True, timeout=30)


def commands_in(text: str) -> list[list[str]]:
    """Command lines of `unichunk` in a page's blocks."""
    found = []
    for block in re.findall(r"(?s)```\w*\n(.*?)```", text):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for i, word in enumerate(words):
                follows = i + 1 < len(words) and words[i + 1] != "&&"
                if word.rpartition("/")[2] in {"unichunk", "unichunk-serve"} and follows:
                    name = ["serve"] if word == "unichunk-serve" else []
                    found.append([*name, *words[i + 1 :]])
    return found


def test_every_command_of_the_page_is_one(tmp_path: Path) -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    found = commands_in(text)
    assert len(found) >= 9
    assert {words[0] for words in found} == set(COMMANDS)
    for words in found:
        command = parsed(words)
        if isinstance(command, Serve):
            command._check()
    options = re.search(r"UNICHUNK_OPTIONS=([^']*)'", text)
    assert options is not None
    serve(shlex.split(options[1]))
    for name in re.findall(r"`(--[a-z-]+)`", text):
        fields = {f"--{field.replace('_', '-')}" for field in Serve.__dataclass_fields__ | Swap.__dataclass_fields__}
        assert name in fields | {"--policy-key-file", "--policy-ca"}


def test_the_unit_is_no_file_that_ini_readers_choke_on() -> None:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    assert parser.sections() == ["Unit", "Service", "Install"]
