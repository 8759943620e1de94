"""The shapes of a compiled policy: from its manifest and from its graphs, whose weights stay on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx

from unichunk.benchmarks.roofline.architecture import DecoderShape, Model, VisionShape, Workload
from unichunk.benchmarks.roofline.errors import ProjectionError
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.policy.manifest import Graph, Manifest

VISION_LAYER = "vit_model.encoder.layers.{}"
DECODER_LAYER = "language_model.model.layers.0"


def model_of_bundle(folder: Path) -> Model:
    """The model in a bundle that `unichunk compile` wrote; N is that of its graph with the most rounds.

    Raises:
        BundleError: The bundle is wrong.
        ProjectionError: Its graphs are of another kind.
    """
    manifest = read_manifest(folder)
    most = max(manifest.graphs.chunks, key=lambda graph: graph.refinement_rounds)
    prefix = onnx.load(folder / manifest.graphs.prefix.file, load_external_data=False)
    chunk = onnx.load(folder / most.file, load_external_data=False)
    try:
        return _model(manifest, prefix, chunk, most.refinement_rounds)
    except (KeyError, IndexError, StopIteration, ValueError) as error:
        raise ProjectionError(
            f"{folder}: its graphs are not those that `unichunk compile` writes ({error!r}); give its sizes with --size"
        ) from None


def _model(manifest: Manifest, prefix: Any, chunk: Any, rounds: int) -> Model:
    weights = _dims(prefix) | _dims(chunk)
    inputs = {tensor.name: tensor.shape for tensor in manifest.graphs.prefix.inputs}
    keys = _outputs(manifest.graphs.prefix, "keys_")
    kv_heads, head_dim, prefix_tokens = keys[0]
    width = weights[f"{DECODER_LAYER}.self_attn.o_proj.weight"][0]
    expert = weights[f"{DECODER_LAYER}.self_attn.o_proj_mot_gen.weight"]
    vision = _vision(prefix, weights)
    views, size = inputs["images"][0], inputs["images"][-1]
    image_tokens = views * (size // vision.patch // vision.merge) ** 2
    text = inputs["tokens"][1]
    head = weights["head.keys.0"][2] if "head.keys.0" in weights else 0
    return Model(
        name=manifest.name,
        vision=vision,
        decoder=DecoderShape(
            layers=len(keys),
            heads=expert[1] // head_dim,
            kv_heads=kv_heads,
            head_dim=head_dim,
            width=width,
            mlp=weights[f"{DECODER_LAYER}.mlp.down_proj.weight"][1],
            expert_width=expert[0],
            expert_mlp=weights[f"{DECODER_LAYER}.mlp_mot_gen.down_proj.weight"][1],
            vocabulary=weights["language_model.model.embed_tokens.weight"][0],
        ),
        directions=_directions(chunk, weights) if rounds else None,
        workload=Workload(
            image_size=size,
            views=views,
            text_tokens=text,
            rows=manifest.chunk_length,
            steps=manifest.denoising_steps,
            rounds=rounds,
            precision=manifest.precision,
            between_tokens=prefix_tokens - head - image_tokens - text - 1,
            head_tokens=head,
        ),
        trained_delay=min(robot.max_delay for robot in manifest.robots.values()),
        delay_note="manifest",
        drives=manifest.embodiments,
    )


def _vision(prefix: Any, weights: dict[str, tuple[int, ...]]) -> VisionShape:
    layers = 0
    while f"{VISION_LAYER.format(layers)}.mlp.fc1.weight" in weights:
        layers += 1
    mlp, width = weights[f"{VISION_LAYER.format(0)}.mlp.fc1.weight"]
    patch = round((weights["vit_model.embeddings.patch_embedding.weight"][1] / 3) ** 0.5)
    connector = tuple(weights[f"connector.mlp1.{part}.weight"][::-1] for part in (1, 3))
    return VisionShape(
        width=width,
        layers=layers,
        mlp=mlp,
        heads=_softmax_shape(prefix)[1],
        patch=patch,
        merge=2,
        class_token=True,
        connector=connector,  # type: ignore[arg-type]
    )


def _directions(chunk: Any, weights: dict[str, tuple[int, ...]]) -> int:
    """M: columns of the constant (h, M) that normed features are multiplied with."""
    width = weights["mpg.obs_proj.weight"][0]
    factors = [node.input[1] for node in chunk.graph.node if node.op_type == "MatMul" and node.input[1] in weights]
    return next(weights[name][1] for name in factors if weights[name][0] == width)


def _softmax_shape(prefix: Any) -> tuple[int, ...]:
    """Of the first softmax, which is the vision tower's: (views, heads, tokens, tokens)."""
    softmax = next(node.output[0] for node in prefix.graph.node if node.op_type == "Softmax")
    return value_shapes(prefix)[softmax]


def value_shapes(graph: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of all values of a graph."""
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True).graph
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    known = {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in values}
    return known | _dims(graph)


def _dims(graph: Any) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}


def _outputs(graph: Graph, beginning: str) -> list[tuple[int, ...]]:
    return [tensor.shape for tensor in graph.outputs if tensor.name.startswith(beginning)]
