"""Whether blinded evaluation does what it says: its statistics, its randomizations, its blinding, its records.

    unichunk bench evaluation [--only operating ...] [--quick] [--json FILE]

`operating`: how often every test rejects where there is nothing to find, also while success drifts and while somebody
looks after every trial; what each finds with 20, 50 and 100 trials; what intervals cover. `randomizations`: how well
the next policy can be guessed, how unequal a campaign is that is broken off, what drift does to it. `leaks`: how well a
robot can tell policies apart by sizes, fields and times, directly and through the proxy. `crashes`: a service that is
killed at every step and at any moment. `tampering`: everything that is done to a campaign's records, and whether it is
found.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import Annotated, Final, Literal, get_args

import tyro

from unichunk.benchmarks.harness.document import check_writable, write_json
from unichunk.benchmarks.harness.ended_by_signals import ended_by_signals
from unichunk.benchmarks.harness.extras import need_extras

NAME: Final = "evaluation"

Part = Literal["operating", "randomizations", "leaks", "crashes", "tampering"]


@dataclass
class Options:
    """Measure what blinded evaluation promises."""

    only: tuple[Part, ...] = get_args(Part)
    """Which parts."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the result to this file too."""
    quick: bool = False
    """Fewer simulated campaigns, kills and cases."""


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, prog=f"unichunk bench {NAME}", description=__doc__)
    check_writable(options.json)
    need_extras(NAME, "server", "evaluation")
    # Only here: they need the extras.
    from unichunk.benchmarks.evaluated.measuring import measure  # noqa: PLC0415
    from unichunk.benchmarks.evaluated.tables import make_document, markdown  # noqa: PLC0415

    with ended_by_signals(NAME):
        measured = measure(options.only, quick=options.quick, say=_say)
    result = make_document(measured, quick=options.quick)
    print(markdown(result))
    write_json(options.json, result)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
