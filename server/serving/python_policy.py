"""A policy that somebody wrote in Python, as openpi's policies are written, as a worker runs it."""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from unichunk.runtime.errors import PolicyError, UnichunkError
from unichunk.server.serving.calls import Call, decode, encode
from unichunk.server.serving.source import PYTHON
from unichunk.server.serving.work import Description
from unichunk.server.wire.errors import WireError
from unichunk.server.wire.openpi import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unichunk.server.serving.served_policy import Timing
    from unichunk.server.serving.source import PolicySource
    from unichunk.server.serving.work import Work

_WARM_UPS: Final = 3


class _Modality(msgspec.Struct):
    """What GR00T's clients are told of a modality, at least."""

    delta_indices: list[int]
    modality_keys: list[str]


class PythonPolicy:
    """Serves an object with `infer(observation) -> result`, both maps of arrays, numbers and text; see `ServedPolicy`.

    What else it may have: `infer_batch(observations) -> results` with `max_batch`, where it can answer several at once;
    `metadata`, a map that openpi's clients are greeted with; `example_observation`, which it is warmed up with and
    which clients are shown; `modality_config`, for GR00T's clients, a map of plain values; `reset()`, called after the
    warm-up. Between two requests it has to forget: the next one may be anybody's.

    Args:
        policy: The object.
        source: How it is served.

    Raises:
        PolicyError: Where it is no such object, or says of itself what no client can be told.
    """

    def __init__(self, policy: Any, source: PolicySource) -> None:
        if not callable(getattr(policy, "infer", None)):
            raise PolicyError(
                f"{source.source}: expected an object with infer(observation), got {type(policy).__name__}"
            )
        self._policy = policy
        self._source = source
        self._example = _value(policy, "example_observation", {})
        batches = callable(getattr(policy, "infer_batch", None))
        self.max_batch = max(1, min(source.max_batch, int(getattr(policy, "max_batch", 1)))) if batches else 1
        self._handshake = self._greeting()
        self._modality = self._modalities()
        self._service_s = self._warm_up()

    @classmethod
    def load(cls, source: PolicySource) -> PythonPolicy:
        """Call the factory, and warm up what it makes.

        Raises:
            PolicyError: Where there is no such factory, or it fails; one line. Tracebacks go to the standard error.
        """
        for what, given in (("mapping", source.mapping), ("robot", source.robot)):
            if given:
                raise PolicyError(
                    f"{source.source}: got the {what} {given}, expected none: a Python policy gets the client's own "
                    "keys, and drives what it was written for"
                )
        try:
            return cls(_factory(source.source)(), source)
        except UnichunkError:
            raise
        except Exception as error:  # noqa: BLE001  other people's code: whatever it is, it is said in one line
            traceback.print_exc()
            reason = " ".join(str(error).split())
            raise PolicyError(f"{source.source} cannot be loaded ({type(error).__name__}: {reason})") from None

    def describe(self) -> Description:
        """See `ServedPolicy`."""
        return Description(
            name=self._source.name,
            kind="python",
            digest="",
            robots=(),
            manifest=b"",
            max_batch=self.max_batch,
            refinement_rounds=0,
            handshake={"": self._handshake},
            modality={"": self._modality},
            service_s=self._service_s,
        )

    def decode(self, work: Work) -> Call:
        """See `ServedPolicy`."""
        return decode(work, None)

    def infer(self, batch: Sequence[Call]) -> Sequence[Any]:
        """See `ServedPolicy`."""
        # Of its own each time: it may take things out, and what fails together is tried again one by one.
        observations = [dict(call.observation) for call in batch]
        if len(batch) == 1:
            return [self._policy.infer(observations[0])]
        results = list(self._policy.infer_batch(observations))
        if len(results) != len(batch):
            raise PolicyError(f"infer_batch: expected {len(batch)} results, got {len(results)}")
        return results

    def encode(self, call: Call, result: Any, timing: Timing) -> bytes:
        """See `ServedPolicy`."""
        return encode(call, result, timing)

    def _greeting(self) -> bytes:
        example = {"example_observation": self._example} if self._example else {}
        try:
            return pack({**example, **_value(self._policy, "metadata", {})})
        except WireError as error:
            raise PolicyError(f"{self._source.source}: metadata: {error}") from None

    def _modalities(self) -> dict[str, Any]:
        try:
            plain: dict[str, Any] = msgspec.to_builtins(_value(self._policy, "modality_config", {}))
            msgspec.convert(plain, dict[str, _Modality])
        except (TypeError, msgspec.ValidationError, RecursionError) as error:
            raise PolicyError(
                f"{self._source.source}: modality_config: {error}; expected for each modality a map of plain values "
                "with delta_indices and modality_keys"
            ) from None
        return plain

    def _warm_up(self) -> float:
        """What one inference takes, [s]; 0 where there is no example to try."""
        service_s = 0.0
        if self._example:
            for _ in range(_WARM_UPS):
                began_s = time.perf_counter()
                self._policy.infer(dict(self._example))
                service_s = time.perf_counter() - began_s
            if self.max_batch > 1:
                self._policy.infer_batch([dict(self._example) for _ in range(self.max_batch)])
        reset = getattr(self._policy, "reset", None)
        if callable(reset):
            reset()
        return service_s


def _factory(source: str) -> Callable[[], Any]:
    """What a source names."""
    path, _, name = source.removeprefix(PYTHON).partition(":")
    if not path or not name:
        raise PolicyError(f"{source}: expected {PYTHON}package.module:factory")
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{path}.".startswith(f"{error.name}."):
            raise
        raise PolicyError(f"{source} cannot be loaded: no module {error.name!r}; is it on PYTHONPATH?") from None
    factory: Callable[[], Any] | None = getattr(module, name, None)
    if not callable(factory):
        there = ", ".join(known for known, value in vars(module).items() if callable(value) and known[0] != "_")
        raise PolicyError(f"{source} cannot be loaded: {path} has no function {name!r}, it has {there or 'none'}"[:500])
    return factory


def _value(policy: Any, name: str, default: Any) -> dict[str, Any]:
    """A map that the policy may have, as an attribute or as a method without arguments."""
    value = getattr(policy, name, default)
    value = value() if callable(value) else value
    if value is None:
        value = default
    if not isinstance(value, Mapping):
        raise PolicyError(f"{type(policy).__name__}.{name}: expected a map, got {type(value).__name__}")
    return dict(value)
