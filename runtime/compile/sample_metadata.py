"""Metadata and sentences for checkpoints that were never trained."""

from __future__ import annotations

from typing import Any, Final

DATASET: Final = "uni_posttrain"

_WIDTHS: Final = {
    "state": {"eef_position": 3, "eef_rotation": 3, "libero_gripper_position": 2},
    "action": {"eef_position": 3, "eef_rotation": 3, "gripper_position": 1},
}


def _statistics(width: int, spread: float) -> dict[str, list[float]]:
    values = {"min": -2.5, "max": 2.5, "mean": 0.1, "std": 1.0, "q01": -2.0, "q99": 2.0}
    return {name: [round(value * spread, 6)] * width for name, value in values.items()}


def _modality(section: str, key: str, width: int) -> dict[str, Any]:
    return {
        "absolute": section == "state",
        "rotation_type": "axis_angle" if key == "eef_rotation" else None,
        "shape": [width],
        "continuous": True,
    }


def _entry(level: str, spread: float) -> dict[str, Any]:
    return {
        "statistics": {
            section: {key: _statistics(width, spread) for key, width in keys.items()}
            for section, keys in _WIDTHS.items()
        },
        "modalities": {
            "video": {
                view: {"resolution": [256, 256], "channels": 3, "fps": 20.0} for view in ("top_view", "wrist_view")
            },
            **{
                section: {key: _modality(section, key, width) for key, width in keys.items()}
                for section, keys in _WIDTHS.items()
            },
        },
        "embodiment_tag": "libero",
        "stats_level": level,
    }


LIBERO_METADATA: Final[dict[str, dict[str, Any]]] = {
    DATASET: {
        DATASET: _entry("merged", 1.0),
        f"{DATASET}_variants": {"task_a": _entry("task", 0.8), "libero": _entry("embodiment", 0.9)},
    }
}
"""Dataset -> content of its metadata file; fits the data configuration `libero_nonorm`."""

SAMPLE_TEXTS: Final = (
    "According to the instruction 'pick up the red block', what's the micro-step actions in the next 16 steps?",
    "follow the blue block",
    "put the bowl on the plate and close the drawer",
    "system user assistant\n",
)
"""Sentences a tokenizer can be trained on."""
