"""Does Universal Async Chunking keep success under delay? Methods against delays on dynamic tasks, in virtual time.

    unichunk bench async [--quick] [--tasks catch ...] [--chunks 8 16] [--json FILE]

The tasks are force-controlled and lost by doing nothing; their experts have several ways of doing them, so that
averaging two plans fails. For every task and chunk length three small flow policies are trained on the first use and
kept: without delays, with delay sampling, and with the state rolled forward. Then every method drives every task under
every delay, through the runtime's own ring buffer and producer. An inference begins as soon as the one before is there,
so a chunk of T rows is used for s = max(d, 1) ticks, and d is at most T / 2.

Columns: d = 0, 1, ... ticks, fixed and known; `sampled`, latencies drawn for each inference and committed by the
runtime's estimator; `late d`, one row less committed than needed, on purpose.

Rows: `oracle`, the world waits; `synchronous`, no force while it thinks; `naive`, the new chunk as it is;
`ensembling`, 0.3 of the old and 0.7 of the new one; `bidirectional`, the best of 8 chunks; `rtc`, guidance towards the
running plan; `uac_untrained`, committed rows locked in a policy that never saw that; `uac`, the same, trained with
delays; `uac_rollforward`, and told its own state as the committed rows will leave it.
"""

# ruff: noqa: N999  the name is the benchmark's; nobody imports it

from __future__ import annotations

import sys

import tyro

from unichunk.benchmarks.async_control.options import Options, complaints
from unichunk.benchmarks.async_control.run import run
from unichunk.benchmarks.harness.document import check_writable
from unichunk.benchmarks.single_thread import restart_with_one_thread


def main() -> int:
    """Entry point; 2 where the options make no sense."""
    options = tyro.cli(Options, prog="unichunk bench async", description=__doc__)
    for complaint in complaints(options):
        print(f"unichunk bench async: {complaint}", file=sys.stderr)
        return 2
    check_writable(options.json)
    restart_with_one_thread("unichunk.benchmarks.async")
    run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
