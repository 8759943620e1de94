"""NVIDIA's driver as `ctypes` sees it, for tests: functions that give error codes and write to their arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ctypes

NOT_INITIALIZED, INVALID_VALUE, INVALID_DEVICE, INVALID_CONTEXT, NO_DEVICE = 3, 1, 101, 201, 100
NAMES = {NOT_INITIALIZED: b"CUDA_ERROR_NOT_INITIALIZED", INVALID_VALUE: b"CUDA_ERROR_INVALID_VALUE"}
NAMES |= {NO_DEVICE: b"CUDA_ERROR_NO_DEVICE", INVALID_CONTEXT: b"CUDA_ERROR_INVALID_CONTEXT"}
PAGE = 4096


@dataclass
class FakeDriver:
    """`libcuda.so.1`, refusing what the real one refuses."""

    gpus: tuple[tuple[str, tuple[int, int], int], ...] = (("Fake 1", (9, 0), 80 << 30), ("Fake 2", (8, 7), 32 << 30))
    version: int = 13000
    starts: int = 0
    initialized: bool = False
    flags: dict[int, int] = field(default_factory=dict)
    contexts: list[int] = field(default_factory=list)
    retained: dict[int, int] = field(default_factory=dict)
    locked: list[tuple[int, int]] = field(default_factory=list)

    def cuInit(self, flags: int) -> int:  # noqa: N802  (the driver's names, here and below)
        self.initialized = not self.starts
        return self.starts

    def cuGetErrorName(self, code: int, name: Any) -> int:  # noqa: N802
        name._obj.value = NAMES.get(code)
        return 0 if code in NAMES else INVALID_VALUE

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        return self._give(version, self.version)

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        return self._give(count, len(self.gpus))

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        return self._give(device, 10 + number) if 0 <= number < len(self.gpus) else INVALID_DEVICE

    def cuDeviceGetName(self, name: Any, size: int, device: int) -> int:  # noqa: N802
        name.value = self.gpus[device - 10][0].encode()[: size - 1]
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: int) -> int:  # noqa: N802
        return self._give(memory, self.gpus[device - 10][2])

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: int) -> int:  # noqa: N802
        return self._give(value, self.gpus[device - 10][1][attribute - 75])

    def cuDevicePrimaryCtxSetFlags_v2(self, device: int, flags: int) -> int:  # noqa: N802
        self.flags[device - 10] = flags
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: int) -> int:  # noqa: N802
        self.retained[device - 10] = self.retained.get(device - 10, 0) + 1
        return self._give(context, 100 + device)

    def cuCtxPushCurrent_v2(self, context: ctypes.c_void_p) -> int:  # noqa: N802
        self.contexts.append(context.value or 0)
        return 0

    def cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        return self._give(context, self.contexts.pop())

    def cuMemGetInfo_v2(self, free: Any, total: Any) -> int:  # noqa: N802
        if not self.contexts:
            return INVALID_CONTEXT
        memory = self.gpus[self.contexts[-1] - 110][2]
        free._obj.value, total._obj.value = memory // 4, memory
        return 0

    def cuMemHostRegister_v2(self, pointer: ctypes.c_void_p, size: ctypes.c_size_t, flags: int) -> int:  # noqa: N802
        begin, count = pointer.value or 0, size.value
        if not self.contexts or begin % PAGE or count % PAGE or not count:
            return INVALID_CONTEXT if not self.contexts else INVALID_VALUE
        if any(begin < other + length and other < begin + count for other, length in self.locked):
            return INVALID_VALUE
        self.locked.append((begin, count))
        return 0

    def _give(self, place: Any, value: int) -> int:
        if not self.initialized:
            return NOT_INITIALIZED
        place._obj.value = value
        return 0
