"""From rounds to rows, ratios and a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.harness.document import document, is_measured, not_measured
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.percentiles import percentiles
from unichunk.benchmarks.harness.ratio import Ratio, paired_ratio
from unichunk.benchmarks.serving.felt import EVERY_S
from unichunk.benchmarks.serving.measuring import BESIDE
from unichunk.benchmarks.serving.plan import COMPARED
from unichunk.benchmarks.serving.statistics import unfairness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.serving.measuring import Measured
    from unichunk.benchmarks.serving.plan import Case, Plan
    from unichunk.benchmarks.serving.statistics import Round

ENOUGH: Final = 500
"""Round trips that a p99 takes."""

DEFINITIONS: Final = {
    "clients": "each with one request at a time, in up to four processes with a thread for each client; clients and "
    "servers share this machine's cores",
    "request": "two views of 224 x 224 x 3 bytes of noise and a state, packed anew for each request",
    "openpi": "a stand-in of openpi's server, written after it, with openpi-client's own msgpack_numpy and "
    "websockets, in openpi-client's environment: openpi's own is one file of its repository and on no package index",
    "openpi-client": "WebsocketClientPolicy as it comes; it asks both servers",
    "noop": "answers at once; the same object in both servers",
    "sleeping": "sleeps 30 ms for each request; the same object in both servers",
    "sleeping_batch": "sleeps 30 ms for as many requests as are inferred together; openpi's server has no batches",
    "empty bundle": "a bundle whose graphs compute nothing: with what a bundle costs besides, which Python policies do "
    "not have; the lean protocol is for bundles",
    "p50_ms, p99_ms, max_ms": "round trips as the client sees them, of all rounds; a quantile with fewer than five "
    "samples beyond it is not measured",
    "per_s": "round trips that ended, a second, mean of the rounds",
    "unfairness": "largest mean round trip of a client over the smallest",
    "healthz, ping": f"GET /healthz and a WebSocket's ping every {1e3 * EVERY_S:.0f} ms beside the clients: the ping "
    "is how soon the server's event loop comes round",
    "beside": f"round trips of one client of the no-op policy while {BESIDE} clients ask for the one that sleeps: with "
    "ours at the same server, with openpi, which serves one policy, at a second server",
    "ratios": "of each round's medians, p99s (where every round has the 500 round trips that it takes) or rates",
}


def rows(plan: Plan, measured: Measured) -> list[dict[str, Any]]:
    """One row for each case and number of clients; what was not measured says why."""
    return [_row(case, cell.clients, measured) for cell in plan.cells for case in cell.cases]


def beside_rows(measured: Measured) -> list[dict[str, Any]]:
    """What the one client of a no-op policy feels of the others."""
    found = []
    for server, rounds in measured.beside.items():
        spread = percentiles(np.concatenate([one.all_ms for one in rounds]))
        found.append(
            {"server": server, **{f"{key}_ms": spread[key] for key in ("p50", "p99", "max")}, "n": spread["n"]}
        )
    return found


def ratios(plan: Plan, measured: Measured) -> dict[str, Ratio]:
    """Cases in parts of others in the same rounds, by label."""
    found = {}
    for cell in plan.cells:
        for above, below in COMPARED:
            if above not in cell.cases or below not in cell.cases:
                continue
            rounds = [measured.rounds.get((case, cell.clients), []) for case in (above, below)]
            label = f"{_words(above, below)}, {cell.clients} {'client' if cell.clients == 1 else 'clients'}"
            found.update({f"{what}, {label}": ratio for what, ratio in _compared(*rounds).items()})
    return found


def make_document(plan: Plan, measured: Measured, *, quick: bool, peers: Sequence[str]) -> dict[str, Any]:
    """The result.

    Args:
        plan: What was asked for.
        measured: What was found.
        quick: Whether this was the short form.
        peers: What is installed in openpi's environment.
    """
    return document(
        "serve",
        quick=quick,
        ratios=ratios(plan, measured),
        definitions=DEFINITIONS,
        request_bytes=measured.request_bytes,
        answer_bytes=measured.answer_bytes,
        rows=rows(plan, measured),
        beside=beside_rows(measured) or not_measured("openpi's clients are not there"),
        footprints=measured.footprints,
        openpi_environment=list(peers),
    )


def markdown(result: dict[str, Any]) -> str:
    """Its tables."""
    columns = ("policy", "clients", "server", "client", "n", "p50_ms", "p99_ms", "max_ms", "per_s", "unfairness")
    felt = ["policy", "clients", "server"]
    felt += [f"{what}_{key}_ms" for what in ("healthz", "ping") for key in ("p50", "p99", "max")]
    parts = [
        _table(columns, result["rows"]),
        _table(felt, [row for row in result["rows"] if "ping_p50_ms" in row]),
        "one client of the no-op policy beside 63 of the one that sleeps:",
        _table(
            ("server", "n", "p50_ms", "p99_ms", "max_ms"), result["beside"] if is_measured(result["beside"]) else []
        ),
        markdown_table(
            ("server", "processes", "threads", "resident [MiB]"),
            [(name, *held.values()) for name, held in result["footprints"].items()],
        ),
        markdown_table(
            ("ratio", "median (95 %)"), [(label, str(Ratio(**value))) for label, value in result["ratios"].items()]
        ),
    ]
    return "\n\n".join(parts)


def _row(case: Case, clients: int, measured: Measured) -> dict[str, Any]:
    row: dict[str, Any] = {"policy": case.policy, "clients": clients, "server": case.server, "client": case.client}
    rounds = measured.rounds.get((case, clients))
    if not rounds:
        why = not_measured(measured.failures.get((case, clients), "not asked"))
        return {**row, "n": 0, "p50_ms": why, "p99_ms": why, "max_ms": why, "per_s": why, "unfairness": why}
    spread = percentiles(np.concatenate([one.all_ms for one in rounds]))
    row |= {"n": spread["n"], **{f"{key}_ms": spread[key] for key in ("p50", "p99", "max")}}
    row["per_s"] = float(np.mean([one.per_s for one in rounds]))
    row["unfairness"] = unfairness(rounds)
    others = measured.others.get((case, clients))
    if others is not None:
        for name, samples in (("healthz", others.healthz_ms), ("ping", others.ping_ms)):
            spread = percentiles(samples)
            row |= {f"{name}_{key}_ms": spread[key] for key in ("p50", "p99", "max")} | {f"{name}_n": spread["n"]}
    return row


def _compared(above: Sequence[Round], below: Sequence[Round]) -> dict[str, Ratio]:
    if not above or len(above) != len(below) or not all(one.all_ms.size for one in (*above, *below)):
        return {}
    medians = [[float(np.median(one.all_ms)) for one in rounds] for rounds in (above, below)]
    found = {"p50": paired_ratio(*medians, better="lower")}
    if all(one.all_ms.size >= ENOUGH for one in (*above, *below)):
        tails = [[float(np.quantile(one.all_ms, 0.99)) for one in rounds] for rounds in (above, below)]
        found["p99"] = paired_ratio(*tails, better="lower")
    rates = [[one.per_s for one in rounds] for rounds in (above, below)]
    if all(rate > 0 for each in rates for rate in each):
        found["throughput"] = paired_ratio(*rates, better="higher")
    return found


def _words(above: Case, below: Case) -> str:
    """What is compared, without what both have in common."""
    if above.client == below.client:
        policies = above.policy if above.policy == below.policy else f"{above.policy} / {below.policy}"
        return f"{policies}: {above.server} / {below.server}"
    if above.server == below.server:
        return f"{above.policy}: {above.client} / {below.client}"
    return f"{above.policy}: {above.server} ({above.client}) / {below.server} ({below.client})"


def _table(columns: Sequence[str], found: Sequence[dict[str, Any]]) -> str:
    return markdown_table(columns, [[row.get(column) for column in columns] for row in found])
