"""ONNX Runtime on a GPU: with its CUDA or its TensorRT execution provider."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import onnxruntime

from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.cache import EngineCache, say_on_stderr
from unichunk.runtime.policy.engines.cuda_driver import cuda_driver
from unichunk.runtime.policy.engines.onnx_bound import BoundOnnxRuntimeEngine
from unichunk.runtime.policy.engines.onnx_device import CudaDevice
from unichunk.runtime.policy.engines.onnx_errors import ORT_ERRORS, is_no_capture, load_complaint, reason
from unichunk.runtime.policy.engines.onnx_providers import (
    CUDA,
    PROVIDER,
    TENSORRT,
    Provider,
    cache_key,
    cuda_provider,
    tensorrt_provider,
)
from unichunk.runtime.policy.engines.onnx_session import open_session
from unichunk.runtime.policy.engines.onnx_surroundings import (
    INSTALL,
    load_libraries,
    missing_library,
    provider_complaint,
    surroundings,
    tensorrt_version,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unichunk.runtime.policy.engines.graph_file import GraphFile
    from unichunk.runtime.policy.engines.onnx_surroundings import Surroundings
    from unichunk.runtime.policy.engines.options import EngineOptions

_TF32: Final = "NVIDIA_TF32_OVERRIDE"
_NOTHING: Final = 4
"""Of ONNX Runtime's log, nothing but what ends the process."""


def gpu_engine(
    file: GraphFile, options: EngineOptions, warn: Callable[[str], None] = say_on_stderr
) -> BoundOnnxRuntimeEngine:
    """A graph on a GPU.

    Args:
        file: The graph.
        options: Which provider, and how.
        warn: Told, in one line, of a graph that cannot be recorded, or of a built engine that is not trusted.

    Raises:
        BundleError: The graph is none that ONNX Runtime can run.
        EngineError: The provider, the driver, the device or its memory is not there.
    """
    found = surroundings()
    complaint = provider_complaint(found, options)
    if complaint is not None:
        raise EngineError(f"--engine {options.name}: {complaint}")
    load_libraries()
    # Whatever it says is said here in one line.
    onnxruntime.set_default_logger_severity(_NOTHING)
    driver = cuda_driver()
    assert driver is not None
    driver.wait_without_spinning(options.device)
    device = CudaDevice(driver, options.device)
    opener = Opener(file, options, found, warn)
    return BoundOnnxRuntimeEngine(file, device.call(opener.session), device)


class Opener:
    """Loads a graph onto a GPU; to be called on the thread of the device.

    Args:
        file: The graph.
        options: Which provider, and how.
        found: What there is here.
        warn: See `gpu_engine`.
    """

    def __init__(
        self, file: GraphFile, options: EngineOptions, found: Surroundings, warn: Callable[[str], None]
    ) -> None:
        self._file = file
        self._options = options
        self._found = found
        self._warn = warn
        self._cache = EngineCache(options.cache, warn)

    def session(self) -> onnxruntime.InferenceSession:
        """The session; without recording, with a warning, where the graph cannot be recorded.

        Raises:
            BundleError, EngineError: See `gpu_engine`.
        """
        try:
            if self._options.cuda_graphs:
                try:
                    return self._open(cuda_graphs=True)
                except ORT_ERRORS as error:
                    if not is_no_capture(error):
                        raise
                    self._warn(f"{self._file.path}: not recorded as a CUDA graph, and slower for it: {reason(error)}")
            return self._open(cuda_graphs=False)
        except ORT_ERRORS as error:
            raise load_complaint(self._file, error, self._found.gpus[self._options.device].name) from None

    def _open(self, *, cuda_graphs: bool) -> onnxruntime.InferenceSession:
        cuda = cuda_provider(self._options, cuda_graphs=cuda_graphs)
        if PROVIDER[self._options.name] == CUDA:
            return self._checked([cuda])
        if self._file.precision == "fp32":
            # TensorRT shortens float32 products to 10 bits unless it is told not to, which the provider cannot.
            os.environ.setdefault(_TF32, "0")
        # What TensorRT cannot compute, CUDA does.
        return self._from_cache(cuda, cuda_graphs=cuda_graphs)

    def _from_cache(self, cuda: Provider, *, cuda_graphs: bool) -> onnxruntime.InferenceSession:
        def providers(folder: Path) -> list[Provider]:
            return [tensorrt_provider(self._options, folder, cuda_graphs=cuda_graphs), cuda]

        def build(folder: Path) -> None:
            # The provider writes the engine while the session is made.
            self._checked(providers(folder))

        versions = {
            "onnxruntime": self._found.version,
            "tensorrt": tensorrt_version(),
            "cuda": self._found.cuda,
            "driver": self._found.release,
        }
        gpu = self._found.gpus[self._options.device]
        key = cache_key(self._file, self._options, gpu, versions, cuda_graphs=cuda_graphs)
        folder = self._cache.entry(key, build)
        try:
            return self._checked(providers(folder))
        except ORT_ERRORS as error:
            if is_no_capture(error):
                raise
            self._cache.drop(folder, f"ONNX Runtime cannot use it ({reason(error)})")
        return self._checked(providers(self._cache.entry(key, build)))

    def _checked(self, providers: list[Provider]) -> onnxruntime.InferenceSession:
        """A session that computes where it was asked to: a provider whose libraries are missing is left out."""
        wanted = [name for name, _ in providers]
        try:
            session = open_session(self._file, providers)
        except ORT_ERRORS:
            self._require(wanted)
            raise
        self._require([name for name in wanted if name not in session.get_providers()], strict=True)
        return session

    def _require(self, providers: list[str], *, strict: bool = False) -> None:
        """Raise the error of a provider whose libraries are missing; where `strict`, also of one that does not say."""
        for provider in providers:
            why = missing_library(provider) or ("ONNX Runtime does not say why" if strict else None)
            if why is not None:
                both = provider == TENSORRT
                raise EngineError(
                    f"--engine {self._options.name}: {provider} cannot be loaded: {why}; install CUDA "
                    f"{self._found.cuda}, cuDNN{' and TensorRT' * both}: {INSTALL}{' tensorrt' * both}"
                )
