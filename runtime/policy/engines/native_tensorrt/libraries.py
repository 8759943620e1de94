"""TensorRT's Python module and CUDA's, which few machines have."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.runtime.errors import EngineError
from unichunk.runtime.policy.engines.native_tensorrt.complaints import library_missing, version_complaint
from unichunk.runtime.policy.engines.native_tensorrt.cuda import Cuda

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class Libraries:
    """Both modules.

    Attributes:
        tensorrt: `tensorrt`, 10 or newer.
        cuda: `cuda.bindings.runtime`, whose calls are checked.
    """

    tensorrt: ModuleType
    cuda: Cuda


def load_libraries() -> Libraries:
    """Import both.

    Raises:
        EngineError: One of them is missing, or too old.
    """
    modules = []
    for name in ("tensorrt", "cuda.bindings.runtime"):
        try:
            modules.append(importlib.import_module(name))
        except (ImportError, OSError) as error:
            # Without its shared libraries, `tensorrt` may fail in the loader and not in Python.
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise EngineError(library_missing(name, reason)) from None
    tensorrt, runtime = modules
    complaint = version_complaint(str(tensorrt.__version__))
    if complaint is not None:
        raise EngineError(complaint)
    return Libraries(tensorrt, Cuda(runtime))
