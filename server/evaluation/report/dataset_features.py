"""Columns of the dataset: as LeRobot declares them, and as Arrow types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.episode import Episode

Features = dict[str, dict[str, Any]]

PICTURE: Final = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How Hugging Face's `Image` is stored."""

_TYPES: Final = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_(), "string": pa.string()}
_INDICES: Final = ("frame_index", "episode_index", "index", "task_index")


def features_of(episode: Episode) -> Features:
    """The features, as `meta/info.json` has them.

    Args:
        episode: Any one: all have the same.
    """
    joints = list(episode.recorded.joints)
    vector = {"dtype": "float32", "shape": [len(joints)], "names": joints}
    features: Features = {"observation.state": vector, "action": vector}
    for name in episode.pictures:
        camera = episode.recorded.cameras[name]
        shape = [camera.height, camera.width, 3]
        names = ["height", "width", "channels"]
        features[f"observation.images.{name}"] = {"dtype": "image", "shape": shape, "names": names}
    features |= {name: _single("bool") for name in ("next.done", "next.success")}
    features |= {name: _single("string") for name in ("policy", "layout")}
    features["timestamp"] = _single("float32")
    return features | {name: _single("int64") for name in _INDICES}


def arrow_schema(features: Features) -> Any:
    """The types of the data files' columns.

    Args:
        features: As declared.
    """
    about = {"info": {"features": {name: _hub_type(feature) for name, feature in features.items()}}}
    fields = [(name, _arrow_type(feature)) for name, feature in features.items()]
    return pa.schema(fields, metadata={"huggingface": msgspec.json.encode(about)})


def _single(kind: str) -> dict[str, Any]:
    return {"dtype": kind, "shape": [1], "names": None}


def _arrow_type(feature: dict[str, Any]) -> Any:
    if feature["dtype"] == "image":
        return PICTURE
    single = _TYPES[feature["dtype"]]
    return single if feature["names"] is None else pa.list_(single, feature["shape"][0])


def _hub_type(feature: dict[str, Any]) -> dict[str, Any]:
    """As Hugging Face's `datasets` names the type."""
    if feature["dtype"] == "image":
        return {"_type": "Image"}
    single = {"dtype": feature["dtype"], "_type": "Value"}
    if feature["names"] is None:
        return single
    return {"feature": single, "length": feature["shape"][0], "_type": "Sequence"}
