"""The process that holds two namespaces and the path between them.

Runs as `python -m unichunk.benchmarks.netlab.path_process HOW SEED`. It says where they are, then does what it is told,
one line of JSON each way, until its input ends; the namespaces go with it. `{"conditions": {...}}` changes what happens
to packets, `{"outage": {"after_s": ..., "for_s": ...}}` cuts the path for a time and answers when,
`{"statistics": true}` answers what became of packets since `{"forget": true}`.
"""

from __future__ import annotations

import gc
import json
import os
import select
import shutil
import subprocess
import sys
import time
from typing import Any, Final

from unichunk.benchmarks.netlab.carrier import Carrier  # noqa: TC001
from unichunk.benchmarks.netlab.conditions import Conditions, Outage
from unichunk.benchmarks.netlab.namespaces import NamespacesUnavailable, configure, enter, new_namespace, open_tun
from unichunk.benchmarks.netlab.netem import Netem, netem_available
from unichunk.benchmarks.netlab.relay import Relay

DEVICE: Final = "path0"
ADDRESSES: Final = ("10.77.0.1", "10.77.0.2")
NETMASK: Final = "255.255.255.252"
PRIORITY: Final = 40
"""SCHED_FIFO priority of the relay: above everything but the runtime's control thread and the kernel's own threads."""

COMMAND: Final = 0
"""Standard input."""


def main() -> None:
    """Carry until the input ends."""
    how, seed = sys.argv[1], int(sys.argv[2])
    try:
        namespaces, carrier, how = _make(how, seed)
    except NamespacesUnavailable as refused:
        _say({"unavailable": str(refused)})
        raise SystemExit(3) from None
    fifo = _prefer_this_process() if how == "relay" else False
    _say({"how": how, "fifo": fifo, "pid": os.getpid(), "namespaces": namespaces, "addresses": ADDRESSES})
    gc.collect()
    gc.freeze()
    gc.disable()
    _carry(carrier)


def _make(how: str, seed: int) -> tuple[list[int], Carrier, str]:
    namespaces = [new_namespace()]
    if how == "auto":
        how = "netem" if netem_available() else "relay"
    if how == "relay":
        near = open_tun(DEVICE)
        configure(DEVICE, ADDRESSES[0], NETMASK)
        namespaces.append(new_namespace())
        far = open_tun(DEVICE)
        configure(DEVICE, ADDRESSES[1], NETMASK)
        return namespaces, Relay(near, far, seed), how
    namespaces.append(new_namespace())
    _connect(namespaces)
    return namespaces, Netem([(_enter_command(namespace), DEVICE) for namespace in namespaces]), how


def _connect(namespaces: list[int]) -> None:
    """A veth pair between two namespaces, of which the calling thread is in the second one."""
    command = ["ip", "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", str(os.getpid())]
    done = subprocess.run(  # noqa: S603
        [*_enter_command(namespaces[0]), *command], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise NamespacesUnavailable(f"needs veth devices: {' '.join(done.stderr.split())}")
    for namespace, address in zip(namespaces, ADDRESSES, strict=True):
        enter(namespace)
        configure(DEVICE, address, NETMASK)


def _enter_command(namespace: int) -> list[str]:
    return [shutil.which("nsenter") or "nsenter", f"--net=/proc/{os.getpid()}/fd/{namespace}"]


def _carry(carrier: Carrier) -> None:
    told = b""
    while True:
        due_ns = carrier.next_ns
        timeout_s = None if due_ns < 0 else max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
        readable = select.select([COMMAND, *carrier.files], [], [], timeout_s)[0]
        carrier.step([file for file in readable if file != COMMAND])
        if COMMAND in readable:
            received = os.read(COMMAND, 65_536)
            if not received:
                return
            *lines, told = (told + received).split(b"\n")
            for line in lines:
                _say(_obey(carrier, json.loads(line)))


def _obey(carrier: Carrier, asked: dict[str, Any]) -> dict[str, Any]:
    if "conditions" in asked:
        carrier.change(Conditions(**asked["conditions"]))
    if "outage" in asked:
        begin_ns = time.monotonic_ns() + round(asked["outage"]["after_s"] * 1e9)
        outage = Outage(begin_ns, begin_ns + round(asked["outage"]["for_s"] * 1e9))
        carrier.cut(outage)
        return {"begin_ns": outage.begin_ns, "end_ns": outage.end_ns}
    if "forget" in asked:
        carrier.forget()
    return carrier.statistics() if "statistics" in asked else {}


def _prefer_this_process() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
