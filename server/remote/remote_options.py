"""Options of a command that speak of a policy server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Any, Final

from unichunk.server.remote.address import is_remote, parse_address
from unichunk.server.remote.credentials import read_credentials
from unichunk.server.remote.remote_policy import RemotePolicy
from unichunk.server.usage_error import UsageError

if TYPE_CHECKING:
    from unichunk.runtime.policy import Policy
    from unichunk.runtime.run_options import RunOptions

OUTAGE_S: Final = 15.0
"""How long a run rides out an outage unless somebody says otherwise, [s]: a server that is started anew, a robot that
changes its access point."""


@dataclass(frozen=True)
class RemoteOptions:
    """With --policy ADDRESS: how to be let in there, and what to make of a network."""

    policy_key_file: Path | None = None
    """With a policy server: file with the API key, readable by you alone. Without it, the variable UNICHUNK_API_KEY."""
    policy_ca: Path | None = None
    """With wss://: file of certificates (PEM) that the server's is signed with. Without it, the system's."""
    policy_curve: Path | None = None
    """With zmq://: file of CURVE keys, NAME.client.json of `unichunk keys curve`."""
    policy_plain_key: bool = False
    """With ws:// and zmq://: send the API key although the connection is not encrypted, as through a tunnel that is."""
    policy_outage: float | None = None
    """With a policy server: how many seconds it may be out of reach before the run ends; 15 where not given. Meanwhile
    the robot runs its fallback, and goes on by itself when there are chunks again."""
    jpeg: int | None = None
    """With a policy server: send pictures as JPEG of this quality, 1 to 100. Without it, as they are; through shared
    memory where server and robot share a machine."""

    def check(self, policy: str | None) -> None:
        """Refuse what cannot be meant.

        Raises:
            UsageError: One line.
        """
        given = [f"--{name.replace('_', '-')}" for name, value in vars(self).items() if value not in {None, False}]
        if given and (policy is None or not is_remote(policy)):
            raise UsageError(f"{given[0]}: only a policy server has it (--policy ws://..., zmq://... or ipc://...)")
        if self.policy_outage is not None and not 0 < self.policy_outage <= 3600:
            raise UsageError(f"--policy-outage: expected more than 0 and at most 3600 s, got {self.policy_outage:g}")
        if self.jpeg is not None and not 1 <= self.jpeg <= 100:
            raise UsageError(f"--jpeg: expected a quality of 1 to 100, got {self.jpeg}")

    def connect(self, policy: str, embodiment: str, *, refinement_rounds: int, guided: bool, seed: int) -> RemotePolicy:
        """The policy at an address, joined.

        Args:
            policy: The address.
            embodiment: The robot.
            refinement_rounds: N.
            guided: Whether it must be guided; else it is taken as it is served.
            seed: Of the robot's noise.

        Raises:
            UnichunkError: Where a file cannot be used, or the server does not let us in.
        """
        address = parse_address(policy)
        credentials = read_credentials(
            address,
            key_file=self.policy_key_file,
            ca=self.policy_ca,
            curve=self.policy_curve,
            plain_key=self.policy_plain_key,
        )
        return RemotePolicy(
            policy,
            embodiment,
            refinement_rounds=refinement_rounds,
            guided=guided or None,
            seed=seed,
            credentials=credentials,
            jpeg=self.jpeg,
        )

    def patient(self, options: RunOptions, policy: Policy | RemotePolicy) -> RunOptions:
        """A run's options with what follows from where the policy is: outages are ridden out for a stated time."""
        if not isinstance(policy, RemotePolicy):
            return options
        outage_s = OUTAGE_S if self.policy_outage is None else self.policy_outage
        return replace(options, starved_s=outage_s, outage_s=outage_s)

    def asked(self) -> dict[str, Any]:
        """For the report."""
        return {"policy_outage_s": self.policy_outage, "jpeg": self.jpeg}
