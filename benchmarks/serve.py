"""Round trips of policy servers: ours beside openpi's and bare ZeroMQ in the same run.

    unichunk bench serve [--json FILE] [--quick]

Two views of 224 x 224 x 3 and a state go there, ten rows of actions come back, for 1, 8 and 64 clients, with a policy
that does nothing and one that takes 30 ms. openpi's own client asks both servers, from an environment of its own, which
is made here and kept in the cache. openpi's server is a stand-in: its own is on no package index. Clients and servers
share this machine's cores.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import Annotated, Final

import tyro

from unichunk.benchmarks.harness.document import check_writable, write_json
from unichunk.benchmarks.harness.ended_by_signals import ended_by_signals
from unichunk.benchmarks.harness.environments import Environment, EnvironmentUnavailable, environment
from unichunk.benchmarks.harness.extras import missing_extras, need_extras
from unichunk.benchmarks.serving.plan import FULL, QUICK

NAME: Final = "serve"
ENVIRONMENT_S: Final = 900.0
QUICK_ENVIRONMENT_S: Final = 60.0
"""How long making openpi's environment may take, [s]; once made, it is there."""

PEERS: Final = (
    "openpi-client==0.1.2",
    "numpy==1.26.4",
    "typing-extensions==4.15.0",
    "pyzmq==27.3.0",
    "msgpack-numpy==0.4.8",
)
"""openpi-client asks for numpy < 2, and imports typing-extensions without asking for it; the rest is what GR00T's
clients are made of."""


@dataclass
class Options:
    """Measure round trips of policy servers."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the result to this file too."""
    quick: bool = False
    """Two rounds and fewer cases; openpi only where its environment is made in a minute."""


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "server")
    # Only here: it needs the extra.
    from unichunk.benchmarks.serving.measuring import measure  # noqa: PLC0415
    from unichunk.benchmarks.serving.report import make_document, markdown  # noqa: PLC0415
    from unichunk.benchmarks.serving.servers import ServerFailed  # noqa: PLC0415

    peers, why = _peers(QUICK_ENVIRONMENT_S if options.quick else ENVIRONMENT_S)
    plan = QUICK if options.quick else FULL
    with ended_by_signals(NAME):
        try:
            measured = measure(plan, peers, why, bundle=not missing_extras("compile"), say=_say)
        except ServerFailed as failure:
            print(f"unichunk bench {NAME}: {failure}", file=sys.stderr)
            raise SystemExit(1) from None
    result = make_document(plan, measured, quick=options.quick, peers=peers.installed if peers else ())
    print(markdown(result))
    write_json(options.json, result)


def _peers(limit_s: float) -> tuple[Environment | None, str]:
    _say(f"environment of openpi: {', '.join(PEERS)}")
    try:
        return environment("openpi-serving", [list(PEERS)], limit_s=limit_s), ""
    except EnvironmentUnavailable as error:
        return None, str(error)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
