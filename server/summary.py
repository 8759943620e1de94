"""The summary that ends a run, for people."""

from __future__ import annotations

from typing import Any


def summary(report: dict[str, Any]) -> str:
    """A few lines that say how a run went."""
    headline = f"{report['embodiment']}: {report['exit_reason']}: {report['exit_detail']}".rstrip(": ")
    if report["ticks"] == 0:
        return f"{headline}\n  the policy moved nothing"
    latency, lateness = report["chunk_latency_ms"], report["lateness_us"]
    lines = [
        headline,
        f"  ran {report['elapsed_s']:.1f} s, {report['ticks']} ticks, {report['chunks']} chunks, "
        f"d = {report['delay_ticks']} ticks{'' if report['locked_prefixes'] else ' (stitched, not locked)'}",
        f"  underruns {report['underruns']}, commitment violations {report['commitment_violations']}, "
        f"late chunks {report['late_chunks']}, dropped chunks {report['rejected_chunks']}",
        f"  chunk latency p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms, max {latency['max']:.1f} ms",
        f"  lateness p50 {lateness['p50']:.0f} us, p99 {lateness['p99']:.0f} us, max {lateness['max']:.0f} us, "
        f"missed steps {report['missed_control_steps']}",
        f"  guard interventions {report['guard_interventions']}, "
        f"largest command step {report['max_command_step']:.4f} rad",
    ]
    remote = report["remote"]
    if remote is not None:
        round_trip = remote["round_trip_ms"]
        lines.append(
            f"  policy server: round trip p50 {round_trip['p50']:.1f} ms, p99 {round_trip['p99']:.1f} ms, "
            f"missed answers {report['missed_answers']}, longest outage {report['longest_outage_s']:.1f} s, "
            f"connections {remote['connections']}"
        )
    if report["refinement"] is not None:
        low, high = report["refinement"]["gate_range"]
        lines.append(f"  refinement rounds {len(report['refinement']['mean_gates'])}, gates {low:.3f} to {high:.3f}")
    thoughts = report["thoughts"]
    if thoughts is not None:
        lines.append(
            f"  thoughts {thoughts['finished']} finished, {thoughts['nothing']} empty, {thoughts['abandoned']} "
            f"abandoned, {thoughts['tokens']} tokens, longest {thoughts['longest_s']:.2f} s; acted on "
            f"{thoughts['text']!r}"
        )
    lines += [f"  {name} {value:.4g}" for name, value in report["task"].items() if isinstance(value, float)]
    if report["task_unmeasured"]:
        lines.append(f"  task {report['task_unmeasured']}")
    return "\n".join(lines)
