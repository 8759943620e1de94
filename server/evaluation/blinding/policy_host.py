"""Where one of the plan's policies runs: in a process of ours, or at an address; warm, and made anew when it dies.

Everybody with an account on this machine sees the arguments of all processes, the names of all sockets, and which
process is busy. The first two say nothing here: arguments stand in a private file, and names are random. The third
cannot be hidden, and links trials of one policy: whoever operates or judges should have no account on the machine.
"""

from __future__ import annotations

import secrets
import socket
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from unichunk.runtime.errors import PolicyError
from unichunk.server.evaluation.blinding.openpi_policy import OpenpiPolicy
from unichunk.server.evaluation.blinding.runtime_policy import RuntimePolicy
from unichunk.server.evaluation.planning.digest import policy_digest, require_same
from unichunk.server.evaluation.planning.source_kind import SourceKind, source_kind
from unichunk.server.ready_process import ReadyProcess
from unichunk.server.remote.address import parse_address
from unichunk.server.remote.credentials import Credentials, read_credentials
from unichunk.server.remote.remote_policy import RemotePolicy
from unichunk.server.remote.websocket_connection import WebSocketDialer
from unichunk.server.serving.identity import Role
from unichunk.server.serving.key_file import write_keys
from unichunk.server.serving.key_record import new_key

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.server.evaluation.blinding.hidden_policy import HiddenPolicy, Seen
    from unichunk.server.evaluation.blinding.proxy_options import ProxyOptions
    from unichunk.server.evaluation.planning.campaign import PolicyEntry

END_S: Final = 5.0
"""How long a process may take to end, [s]."""

HANGS_S: Final = 0.5
"""The same for one that hangs."""

_MODULE: Final = "unichunk.server.evaluation.blinding.policy_process"
_OPENPI: Final = "openpi+"


class PolicyHost:
    """One policy. Its methods block, and may be called from any thread.

    Args:
        number: The policy's, in the plan's order.
        entry: Of the plan, with absolute paths.
        spec: The embodiment.
        folder: Private, for sockets, keys and what processes say.
        options: How long it may take, how urgent it is.
    """

    def __init__(
        self, number: int, entry: PolicyEntry, spec: EmbodimentSpec, folder: Path, options: ProxyOptions
    ) -> None:
        self.number: Final = number
        self.name: Final = entry.name
        self._entry, self._spec, self._folder, self._options = entry, spec, folder, options
        self._kind = source_kind(entry.source)
        self._process: ReadyProcess | None = None
        self._address = entry.source.removeprefix(_OPENPI)
        self._key = ""
        self._ended = False
        self._changing = threading.Lock()

    def start(self) -> None:
        """Start its process, unless it runs or is somebody else's, and wait until the policy is loaded.

        Raises:
            BundleChanged: Where its source text is not what was frozen.
            UnichunkError: Where it does not come up.
        """
        if self._kind not in {SourceKind.BUNDLE, SourceKind.PYTHON}:
            return
        with self._changing:
            if self._ended:
                raise PolicyError("the proxy is ending")
            if self._process is not None and not self._process.failure():
                return
            if self._process is not None:
                self._process.end()
            self._process = self._begin()

    def connect(self, first: Seen, seed: int) -> HiddenPolicy:
        """See `Host`."""
        self.start()
        if self._kind in {SourceKind.PYTHON, SourceKind.OPENPI_SERVER}:
            address = parse_address(self._address)
            dialer = WebSocketDialer(address, self._credentials(), subprotocol=None)
            return OpenpiPolicy(
                dialer, len(self._spec.joints), answer_within_s=self._options.answer_within_s, first=first
            )
        remote = RemotePolicy(
            self._address,
            self._spec.name,
            refinement_rounds=self._entry.refinement_rounds,
            seed=seed,
            credentials=self._credentials(),
        )
        try:
            return RuntimePolicy(remote, self._spec, first=first, sha256=self._entry.sha256)
        except BaseException:
            remote.close()
            raise

    def end_process(self) -> None:
        """See `Host`; `start` begins another one."""
        with self._changing:
            if self._process is not None:
                self._process.end(HANGS_S)

    def end(self) -> None:
        """End its process; again does nothing."""
        self._ended = True
        with self._changing:
            if self._process is not None:
                self._process.end()

    def _credentials(self) -> Credentials:
        return (
            Credentials(key=self._key) if self._process is not None else read_credentials(parse_address(self._address))
        )

    def _begin(self) -> ReadyProcess:
        if self._kind is SourceKind.PYTHON:
            # Not only when the service starts: also when a process that died is started anew. A bundle's server says
            # which one it serves, see `RuntimePolicy`.
            require_same(self.name, self._entry.sha256, policy_digest(self._entry, Path(), self._spec.name))
        name = "policy"
        # Random: neither `ps` nor the list of sockets says which of the plan's policies it is.
        files = self._folder / secrets.token_hex(8)
        options = ["serve", "--policy", f"{name}={self._entry.source}", "--log-level", "error"]
        options += ["--no-zmq", "--refinement-rounds", str(self._entry.refinement_rounds)]
        if self._kind is SourceKind.BUNDLE:
            path = files.with_suffix(".ipc")
            self._address = f"ipc://{path}"
            options += ["--ipc", str(path), "--no-http", *self._options.engine]
        else:
            port = free_port()
            self._address = f"ws://127.0.0.1:{port}"
            options += ["--port", str(port), "--keys", str(self._make_key(files.with_suffix(".keys")))]
        arguments = files.with_suffix(".arguments")
        arguments.write_bytes(msgspec.json.encode(options))
        process = ReadyProcess(
            f"the process of policy {self.name!r}",
            _MODULE,
            [str(self._options.nice), f"@{arguments}"],
            files.with_suffix(".said"),
            start_s=self._options.load_s,
            end_s=END_S,
        )
        try:
            process.wait_until_ready(self._check)
        except BaseException:
            process.end()
            raise
        return process

    def _make_key(self, path: Path) -> Path:
        """A key for the policy's server: others on this machine shall not find out what runs by asking it."""
        self._key, record = new_key("proxy", Role.ROBOT, datetime.now(timezone.utc))
        write_keys(path, [record])
        return path

    def _check(self) -> None:
        if self._ended:
            raise PolicyError("the proxy is ending")


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number
