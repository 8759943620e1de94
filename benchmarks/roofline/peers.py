"""Published latencies of other policies beside this model's prediction for them: a range of what is realistic.

Shapes of pi0.5 are those of openpi's `gemma.py` and `siglip.py`: SigLIP So400m/14 at 224 px, Gemma 2B, an expert of
300M, 10 flow steps. The other policies are not predicted: what their published runs were given is not known.
"""

from __future__ import annotations

from typing import Any, Final

from unichunk.benchmarks.harness.document import not_measured
from unichunk.benchmarks.roofline.architecture import DecoderShape, Model, VisionShape, Workload
from unichunk.benchmarks.roofline.devices import DEVICES
from unichunk.benchmarks.roofline.prediction import predict, seconds_of
from unichunk.benchmarks.roofline.stages import stages

PROMPT_TOKENS: Final = 50
ROWS: Final = 50
PI05_ASSUMED: Final = (
    f"{PROMPT_TOKENS} tokens of prompt and {ROWS} rows are assumed, the publications do not name them; the shares that "
    "'expected' and 'cautious' take were chosen with these runs in view, so they check them only in part"
)

PI05_MS: Final = (
    ("agx-orin-64", "bf16", 165.7),
    ("thor", "bf16", 72.5),
    ("thor", "fp8", 41.2),
    ("rtx-4090", "bf16", 29.2),
    ("rtx-5090", "bf16", 26.6),
    ("rtx-5090", "fp8", 17.6),
    ("h200", "bf16", 29.4),
)
"""Device, precision, published latency of pi0.5 with two views, [ms]; those of RTX devices in bf16 are realtime-vla's
Triton kernels, which ran at up to 2.79 GHz (the whitepaper's peak is for 2.52)."""

BOUND_ELSEWHERE: Final = frozenset({"h200"})
"""Devices whose published run was as slow as that of an RTX 4090 with a fifth of the peaks: something else bound it."""

UNSUPPORTED: Final = ("h100", "h200")
"""Devices of the one architecture whose only published run is one that something else bound."""

OTHERS: Final = {
    "GR00T N1.6, N1.7": "the published configuration has defaults only; how deep the language model and the action "
    "head of the released checkpoints are, and how many image tokens the timed observations had, is not known here",
    "SmolVLA": "its published runs name neither views nor steps",
}
"""Policy -> why it is not predicted."""


def pi05(*, precision: str = "bf16") -> Model:
    """pi0.5 with two views and a chunk of 50 rows."""
    return Model(
        name="pi05",
        vision=VisionShape(
            width=1152,
            layers=27,
            mlp=4304,
            heads=16,
            patch=14,
            merge=1,
            class_token=False,
            connector=((1152, 2048),),
        ),
        decoder=DecoderShape(
            layers=18,
            heads=8,
            kv_heads=1,
            head_dim=256,
            width=2048,
            mlp=16384,
            expert_width=1024,
            expert_mlp=4096,
            vocabulary=257152,
            state_token=False,
            action_width=32,
        ),
        directions=None,
        workload=Workload(
            image_size=224,
            views=2,
            text_tokens=PROMPT_TOKENS,
            rows=ROWS,
            steps=10,
            rounds=0,
            precision=precision,
            between_tokens=0,
            head_tokens=0,
        ),
        trained_delay=ROWS // 2,
        delay_note="assumed: half a chunk",
    )


def unsupported(device: str) -> str:
    """That no published run supports what is expected on a device; empty where one does."""
    if device not in UNSUPPORTED:
        return ""
    row = next(row for row in peer_rows() if row["bound_elsewhere"])
    slower = f"{row['policy']} on {row['device']}, is {1 / row['expected_over_published']:.1f} times slower"
    return f"no published run supports the expected figure: the only one, {slower}"


def peer_rows() -> list[dict[str, Any]]:
    """Prediction and publication side by side; `share` is how much of the roofline the published run reached."""
    rows: list[dict[str, Any]] = []
    for device, precision, published in PI05_MS:
        found = stages(pi05(precision=precision))
        roofline = 1e3 * seconds_of(predict(found, DEVICES[device].bound(precision)))
        expected = 1e3 * seconds_of(predict(found, DEVICES[device].expected(precision)))
        rows.append(
            {
                "prediction": True,
                "policy": "pi0.5",
                "device": device,
                "precision": precision,
                "roofline_ms": roofline,
                "expected_ms": expected,
                "published_ms": published,
                "expected_over_published": expected / published,
                "share": roofline / published,
                "bound_elsewhere": device in BOUND_ELSEWHERE,
            }
        )
    rows += [
        {"prediction": True, "policy": policy, "expected_ms": not_measured(f"not predicted: {why}")}
        for policy, why in OTHERS.items()
    ]
    return rows
