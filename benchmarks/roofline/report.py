"""The projection as tables. Every title and every table says that it is a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.roofline.peers import PI05_ASSUMED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

QUIET_PERCENT: Final = 20.0
"""Spread between quartiles above which a machine was not quiet."""


def titled(title: str, headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A section; the first header says what kind of numbers these are."""
    return f"## Prediction: {title}\n\n{markdown_table([f'predicted: {headers[0]}', *headers[1:]], rows)}\n"


def devices_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """All devices."""
    headers = ("device", "precision", "roofline [ms]", "expected [ms]", "cautious [ms]", "memory", "remark")
    keys = ("device", "precision", "roofline_ms", "expected_ms", "cautious_ms")
    return titled(title, headers, [[*_picked(row, keys), row["memory"]["verdict"], row["unsupported"]] for row in rows])


def stages_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Stages on one device."""
    headers = (
        "stage",
        "times",
        "weights [MB]",
        "keys, values [MB]",
        "activations [MB]",
        "GFLOP",
        "kernels in all",
        "bound by arithmetic",
        "roofline, all times [ms]",
        "expected, all times [ms]",
    )
    keys = ("stage", "repeats", "weight_mb", "kv_mb", "activation_mb", "gflop", "launches")
    cells = [
        [*_picked(row, keys), f"{row['arithmetic_share']:.0%}", row["roofline_ms"], row["expected_ms"]] for row in rows
    ]
    return titled(title, headers, cells)


def robots_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Every embodiment on one device."""
    headers = (
        "embodiment",
        "views",
        "graphs + allowance [ms]",
        "action rate [Hz]",
        "d (cautious)",
        "largest d",
        "fits",
        "highest action rate [Hz]",
        "to cut first",
    )
    cells = [
        [
            row["embodiment"] + (" (not driven by this bundle)" if row["driven"] is False else ""),
            row["views"],
            f"{row['inference_ms']:.0f} + {row['allowance_ms']:.0f}",
            row["action_hz"],
            f"{row['delay']} ({row['cautious_delay']})",
            row["largest_delay"],
            "yes" if row["fits"] else "no",
            row["highest_action_hz"],
            _to_cut(row["cut_first"]),
        ]
        for row in rows
    ]
    return titled(title, headers, cells)


def cuts_table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Single cuts, the largest gain first."""
    headers = ("cut", "gain [ms]", "gain", "leaves [ms]", "takes")
    cells = [[row["cut"], row["gain_ms"], f"{row['gain_share']:.0%}", row["expected_ms"], row["takes"]] for row in rows]
    return titled(title, headers, cells)


def reference_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The first estimate."""
    title = "the first estimate by parameter counts (2.0B + 0.3B + 0.4B, chunk 16, 188 tokens, bf16) comes out again"
    headers = ("device", "K", "this model [ms]", "estimate [ms]", "being-h05-2b counted by operation, N = 0 [ms]")
    keys = ("device", "steps", "ms", "reference_ms", "detailed_ms")
    return titled(title, headers, [_picked(row, keys) for row in rows])


def peers_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Published latencies."""
    headers = ("policy", "device", "precision", "roofline [ms]", "expected [ms]", "published [ms]", "of the roofline")
    cells = [
        [
            *_picked(row, ("policy", "device", "precision", "roofline_ms", "expected_ms", "published_ms")),
            f"{row['share']:.0%}" + (" (bound by something else)" if row["bound_elsewhere"] else ""),
        ]
        for row in rows
        if "published_ms" in row
    ]
    without = [f"- {row['policy']}: {row['expected_ms']['not_measured']}" for row in rows if "published_ms" not in row]
    title = f"what published runs of other policies reached ({PI05_ASSUMED})"
    return titled(title, headers, cells) + "\n".join(["", *without, ""])


def validation_table(validation: Mapping[str, Any]) -> str:
    """Predicted against measured."""
    error, device = validation["left_out"], validation["device"]
    title = (
        f"graph times of this processor, each model by what the others tell: error {error['median_percent']:.0f} % in "
        f"the median, {error['worst_percent']:.0f} % at worst, over {error['graphs']} graphs; what was measured "
        f"spreads by {validation['median_spread_percent']:.0f} % between quartiles"
    )
    headers = ("model", "graph", "predicted [ms]", "measured [ms]", "error")
    cells = [
        [*_picked(row, ("model", "graph", "predicted_ms", "measured_ms")), f"{row['error_percent']:+.0f} %"]
        for row in validation["rows"]
    ]
    busy = validation["median_spread_percent"] > QUIET_PERCENT
    note = "\nThe machine was busy: these errors tell more of it than of the model; repeat on a quiet one.\n"
    products = ", ".join(f"{rate:.0f} with {rows} rows" for rows, rate in device["product_gflops"].items())
    factors = ", ".join(f"{name} {value:.2f}" for name, value in validation["factors"].items())
    return titled(title, headers, cells) + (
        f"\nMeasured for it, {device['threads']} thread(s): products {products} [GFLOP/s]; copies "
        f"{device['copy_gb_s']:.1f} GB/s; sums {device['pointwise_gb_s']:.1f} GB/s; a node {device['node_us']:.2f} us. "
        f"Factors fitted to all graphs: {factors}.\n" + (note if busy else "")
    )


def list_lines(title: str, lines: Sequence[str]) -> str:
    """A list."""
    return f"## Prediction: {title}\n\n" + "".join(f"- {line}\n" for line in lines)


def _picked(row: Mapping[str, Any], keys: Sequence[str]) -> list[Any]:
    return [row.get(key) for key in keys]


def _to_cut(labels: Sequence[str] | None) -> str:
    if labels is None:
        return "no cut is enough"
    return "; then ".join(labels) or "nothing"
