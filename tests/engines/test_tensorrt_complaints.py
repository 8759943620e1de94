"""What keeps TensorRT from running here, in words; and the tables of its tensors."""

from __future__ import annotations

import builtins
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.engines.cuda_stand_in import cudaError_t
from tests.engines.tensorrt_stand_in import stand_in
from tests.one_line import refused
from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.native_tensorrt.bindings import Binding, workspace_bytes
from unichunk.runtime.policy.engines.native_tensorrt.builder import network_flags
from unichunk.runtime.policy.engines.native_tensorrt.complaints import (
    about_memory,
    cuda_version,
    device_complaint,
    driver_complaint,
    number_complaint,
    precision_complaint,
    version_complaint,
)
from unichunk.runtime.policy.engines.native_tensorrt.device import open_device
from unichunk.runtime.policy.engines.native_tensorrt.libraries import load_libraries
from unichunk.runtime.policy.engines.native_tensorrt.messages import messages_of

OTHERS = "`unichunk engines` lists the others"


@pytest.mark.parametrize("version", ["10.0.1", "10.13.0.35", "11.4.1", "12"])
def test_versions_that_do(version):
    assert version_complaint(version) is None


@pytest.mark.parametrize("version", ["8.6.1", "9.3.0", "", "unknown"])
def test_versions_that_do_not(version):
    complaint = version_complaint(version)
    assert complaint is not None
    assert f"TensorRT {version} is installed, expected 10 or newer" in complaint
    assert "JetPack 6.1" in complaint


@pytest.mark.parametrize("module", ["tensorrt", "cuda.bindings.runtime"])
def test_a_module_that_is_missing(monkeypatch, module):
    stand_in(monkeypatch)
    real = importlib.import_module

    def without(name: str) -> Any:
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", without)
    with refused(EngineError, f"the Python module {module} cannot be used", "No module named", "pip install", OTHERS):
        load_libraries()


def test_a_module_without_its_libraries(monkeypatch):
    stand_in(monkeypatch)
    real = importlib.import_module

    def broken(name: str) -> Any:
        if name == "tensorrt":
            raise OSError("libnvinfer.so.10: cannot open shared object file: No such file\nand more")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    with refused(EngineError, "libnvinfer.so.10: cannot open shared object file"):
        load_libraries()


def test_an_old_module(monkeypatch):
    stand_in(monkeypatch, "8.6.1")
    with refused(EngineError, "TensorRT 8.6.1 is installed", OTHERS):
        load_libraries()


def test_nothing_is_imported_before_it_is_needed():
    assert "tensorrt" not in sys.modules
    assert not hasattr(builtins, "tensorrt")


@pytest.mark.parametrize(("number", "text"), [(12040, "12.4"), (13000, "13.0"), (11080, "11.8"), (12090, "12.9")])
def test_versions_of_cuda(number, text):
    assert cuda_version(number) == text


@pytest.mark.parametrize(("driver", "runtime"), [(12040, 12090), (13000, 12090), (12090, 12090), (13050, 13000)])
def test_drivers_that_do(driver, runtime):
    assert driver_complaint(driver, runtime) is None


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        (0, "no NVIDIA driver is loaded here; install one for CUDA 12"),
        (11080, "the NVIDIA driver is for CUDA 11.8, cuda-bindings for 12.9: update the driver, or pip install"),
        (11080, "cuda-bindings<12"),
    ],
)
def test_drivers_that_do_not(monkeypatch, driver, words):
    cuda = stand_in(monkeypatch).cuda
    cuda.driver = driver
    with refused(EngineError, words, OTHERS):
        open_device(load_libraries().cuda, 0)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (cudaError_t.cudaErrorNoDevice, "no CUDA device can be seen (cudaErrorNoDevice)"),
        (cudaError_t.cudaErrorInsufficientDriver, "the NVIDIA driver is missing or too old"),
        (cudaError_t.cudaErrorInvalidValue, "CUDA does not start: cudaErrorInvalidValue"),
    ],
)
def test_a_machine_without_a_device(monkeypatch, error, words):
    cuda = stand_in(monkeypatch).cuda
    cuda.failing["cudaGetDeviceCount"] = error
    with refused(EngineError, words, OTHERS):
        open_device(load_libraries().cuda, 0)
    assert words in device_complaint(error.value, error.name)


@pytest.mark.parametrize(("number", "count", "fits"), [(0, 1, True), (1, 1, False), (-1, 2, False), (1, 2, True)])
def test_numbers_of_devices(number, count, fits):
    complaint = number_complaint(number, count)
    assert (complaint is None) == fits
    if complaint is not None:
        assert f"--device {number}: expected 0 to {count - 1}" in complaint


def test_a_device_that_is_not_there(monkeypatch):
    stand_in(monkeypatch)
    with refused(EngineError, "--device 3: expected 0 to 0, 1 CUDA device can be seen"):
        open_device(load_libraries().cuda, 3)


def test_a_device_in_use_keeps_its_way_of_waiting(monkeypatch):
    cuda = stand_in(monkeypatch).cuda
    cuda.failing["cudaSetDeviceFlags"] = cudaError_t.cudaErrorIllegalState
    facts = open_device(load_libraries().cuda, 0).facts
    assert (facts.name, facts.capability, facts.driver, facts.runtime) == ("Stand-in (no GPU)", (9, 0), "12.4", "12.9")


@pytest.mark.parametrize(
    ("precision", "capability", "words"),
    [
        ("fp32", (7, 5), None),
        ("fp16", (8, 7), None),
        ("bf16", (8, 0), None),
        ("bf16", (12, 0), None),
        ("bf16", (7, 5), "compile the checkpoint with --precision fp16"),
        ("fp16", (7, 2), OTHERS),
        ("int8", (9, 0), "MatMulNBits"),
    ],
)
def test_precisions_and_devices(precision, capability, words):
    complaint = precision_complaint(Path("chunk.onnx"), precision, capability, "Orin")
    assert complaint is None if words is None else words in complaint


@pytest.mark.parametrize(
    ("said", "memory"),
    [
        ("Error Code 2: OutOfMemory (Requested size was 9 bytes.)", True),
        ("Requested amount of GPU memory (9 bytes) could not be allocated", True),
        ("Cuda Runtime (out of memory)", True),
        ("Could not find any implementation for node", False),
        ("", False),
    ],
)
def test_messages_about_memory(said, memory):
    assert about_memory(said) == memory


def test_messages_are_told_once_and_in_one_line(monkeypatch):
    stand_in(monkeypatch)
    tensorrt = load_libraries().tensorrt
    log, severity = messages_of(tensorrt), tensorrt.ILogger.Severity
    assert messages_of(tensorrt) is log
    for kind, text in ((severity.ERROR, "one\n  two"), (severity.WARNING, "three"), (severity.INTERNAL_ERROR, "four")):
        log.log(kind, text)
    log.log(severity.ERROR, "one two")
    assert log.take() == "one two; four"
    assert log.take() == "it does not say why"


def test_networks_are_strongly_typed_where_that_is_a_choice(monkeypatch):
    stand_in(monkeypatch)
    tensorrt = load_libraries().tensorrt
    assert network_flags("10.3.0", tensorrt) == 2
    assert network_flags("11.0.0", tensorrt) == 0


@given(arrays(np.float32, 7, elements=st.floats(width=16, allow_nan=False, allow_infinity=False)))
def test_host_and_device_forms_of_numbers(values):
    for dtype in ("float32", "float16", "int64"):
        given = values.astype(dtype)
        binding = Binding("x", (7,), dtype)
        content = binding.encoded(given)
        assert content.nbytes == binding.nbytes
        np.testing.assert_array_equal(binding.decoded(content), given)


@given(st.lists(st.integers(0, 0xFFFF), min_size=6, max_size=6))
def test_all_bfloat16_numbers_go_there_and_back(bits):
    binding = Binding("x", (2, 3), "bfloat16")
    content = np.array(bits, np.uint16).view(np.uint8)
    np.testing.assert_array_equal(binding.encoded(binding.decoded(content)), content)


def test_what_is_left_of_the_memory():
    assert workspace_bytes(None, 10**12) is None
    assert workspace_bytes(2.0, 2**30) == 2**30
    assert workspace_bytes(1.0, 2**31) == -(2**30)
