"""A policy that thinks, for tests of engines: its token graph keeps what it wrote, and reads what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from onnx import TensorProto

from tests.policy.damage import manifest_of, put_file, put_manifest
from tests.policy.tiny_bundle import write_tiny_bundle
from tests.policy.tiny_graphs import GraphBuilder
from unichunk.runtime.policy.manifest import Graph, Tensor

if TYPE_CHECKING:
    from pathlib import Path


def write_thinking_bundle(folder: Path) -> Path:
    """The tiny policy with a token graph: each token depends on all before, and on what was seen."""
    bundle = write_tiny_bundle(folder)
    number = Tensor(name="token", shape=(), dtype="int64")
    sum_of = Tensor(name="written_sum", shape=(1, 1), dtype="float32")
    signature = Graph(
        file="token.onnx",
        inputs=(
            number,
            msgspec.structs.replace(number, name="place"),
            Tensor(name="tokens", shape=(1, 64), dtype="int64"),
            Tensor(name="glance", shape=(1, 1), dtype="float32"),
            sum_of,
        ),
        outputs=(msgspec.structs.replace(number, name="next"), msgspec.structs.replace(sum_of, name="longer_sum")),
    )
    build = GraphBuilder(signature)
    build.add("Add", "written_sum", build.add("Add", "glance", build.constant([[1.0]])), output="longer_sum")
    scalar = build.add("Squeeze", build.add("Reshape", "longer_sum", build.constant([1], np.int64)))
    letter = build.add("Cast", build.add("Mul", scalar, build.constant(9.0)), to=TensorProto.INT64)
    build.add("Add", build.add("Add", letter, "place"), build.constant(30, np.int64), output="next")
    document = manifest_of(bundle)
    document["graphs"]["token"] = msgspec.to_builtins(signature)
    document["reasoning"] = {"max_tokens": 8, "ends": [256]}
    put_manifest(bundle, document)
    put_file(bundle, "token.onnx", build.write(bundle).read_bytes())
    return bundle
