"""`--engine` and its companions, and `unichunk engines`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tyro

from tests.one_line import refused
from tests.policy.tiny_bundle import write_tiny_bundle
from unichunk.runtime.policy import EngineOptions
from unichunk.runtime.policy.engines.cache import EngineCache
from unichunk.server.engine_flags import EngineFlags
from unichunk.server.engines_command import Engines
from unichunk.server.eval_serve_command import EvalServe
from unichunk.server.fleet_command import Fleet
from unichunk.server.run_command import Run
from unichunk.server.serve_command import Serve
from unichunk.server.serve_sources import policy_sources
from unichunk.server.serving.source import PolicySource
from unichunk.server.usage_error import UsageError

EVERYTHING = [
    "--engine",
    "onnxruntime-tensorrt",
    "--device",
    "1",
    "--no-cuda-graphs",
    "--engine-cache",
    "/tmp/built",
    "--gpu-memory",
    "2.5",
]
MEANT = EngineOptions("onnxruntime-tensorrt", 3, 1, cuda_graphs=False, cache=Path("/tmp/built"), memory_gib=2.5)


@pytest.mark.parametrize(
    ("command", "needed"), [(Run, ["--embodiment", "so101"]), (Serve, []), (Fleet, ["so101", "so101"])]
)
def test_every_command_that_loads_bundles_has_them(command: Any, needed: list[str]) -> None:
    parsed = tyro.cli(command, args=[*needed, *EVERYTHING, "--steps", "4"])
    assert parsed.engines.options(threads=3) == MEANT
    assert parsed.steps == 4
    plain = tyro.cli(command, args=needed)
    assert plain.engines.options() == EngineOptions()
    assert plain.steps is None
    assert plain.engines.arguments() == []


def test_engines_that_are_built_have_time() -> None:
    assert EngineFlags().load_s(600.0) == 600.0
    assert EngineFlags(engine="tensorrt").load_s(600.0) == 3600.0


def test_an_evaluation_tells_its_policies(tmp_path: Path) -> None:
    (tmp_path / "keys.json").touch()
    command = tyro.cli(EvalServe, args=[str(tmp_path), "--keys", str(tmp_path / "keys.json"), *EVERYTHING])
    options = command._options()
    assert list(options.engine) == EVERYTHING
    assert options.load_s == 3600.0
    assert EvalServe(tmp_path, keys=tmp_path / "keys.json")._options().engine == ()


def test_another_command_line_says_the_same() -> None:
    flags = tyro.cli(EngineFlags, args=EVERYTHING)
    assert flags.arguments() == EVERYTHING
    assert tyro.cli(EngineFlags, args=flags.arguments()) == flags


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (EngineFlags(engine="tensorrt", device=-1), "--device: expected 0 or more, got -1"),
        (EngineFlags(engine="tensorrt", gpu_memory=0.0), "--gpu-memory: expected more than 0 GiB, got 0"),
        (EngineFlags(engine="tensorrt", gpu_memory=float("nan")), "--gpu-memory: expected more than 0 GiB, got nan"),
        (EngineFlags(device=1), "--device: --engine onnxruntime computes on the CPU"),
        (EngineFlags(cuda_graphs=False), "--no-cuda-graphs: --engine onnxruntime computes on the CPU"),
    ],
)
def test_what_cannot_be_meant(flags: EngineFlags, words: str) -> None:
    with refused(UsageError, words):
        flags.check()


def test_a_policy_server_has_its_own_engine() -> None:
    EngineFlags().check(remote=True)
    with refused(UsageError, "--engine: a policy server has its own engine", "unichunk serve"):
        EngineFlags(engine="onnxruntime-cuda").check(remote=True)
    run = Run("so101", sim=True, policy="ipc:///tmp/x", steps=4)
    with refused(UsageError, "--steps: a policy server has its own"):
        run._check()


def test_workers_are_told(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    flags = tyro.cli(EngineFlags, args=EVERYTHING)
    (source,) = policy_sources([f"tiny={bundle}"], steps=4, engines=flags, threads=3)
    told = msgspec.msgpack.decode(msgspec.msgpack.encode(source), type=PolicySource)
    assert told.engine_options == MEANT
    assert told.steps == 4
    (plain,) = policy_sources([f"tiny={bundle}"])
    assert plain.engine_options == EngineOptions()
    with refused(UsageError, "--steps: expected 1 or more, got 0"):
        policy_sources([f"tiny={bundle}"], steps=0)


def test_the_list_of_engines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Engines(engine_cache=tmp_path)() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == [
        "onnxruntime",
        "onnxruntime-cuda",
        "onnxruntime-tensorrt",
        "tensorrt",
    ]
    assert "can be used: ONNX Runtime" in lines[0]
    assert all("can be used: " in line or "not here: " in line for line in lines[:4])
    assert lines[-1] == f"built engines in {tmp_path}: none"


def test_built_engines_are_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = EngineCache(tmp_path)
    cache.entry({"engine": "tensorrt", "device": "NVIDIA L4"}, _write)
    damaged = cache.entry({"engine": "tensorrt", "device": "else"}, _write)
    (damaged / "entry.json").write_bytes(b"")
    assert Engines(engine_cache=tmp_path)() == 0
    output = capsys.readouterr().out
    assert "2.0 MiB  tensorrt for NVIDIA L4\n" in output
    assert "damaged for an unknown device\n" in output
    assert Engines(engine_cache=tmp_path, json=True)() == 0
    document = json.loads(capsys.readouterr().out)
    assert document["engines"][0] | {"detail": ""} == {"name": "onnxruntime", "available": True, "detail": ""}
    assert len(document["built"]) == 2
    assert {"engine": "tensorrt", "device": "NVIDIA L4"} in [one["key"] for one in document["built"]]
    assert Engines(engine_cache=tmp_path, clear=True)() == 0
    assert "none" in capsys.readouterr().out
    assert cache.entries() == []


def _write(folder: Path) -> None:
    (folder / "plan").write_bytes(bytes(2 << 20))
