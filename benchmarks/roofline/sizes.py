"""Models that are known by name, and models in folders: checkpoints and bundles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from unichunk.benchmarks.roofline.architecture import model_of
from unichunk.benchmarks.roofline.bundles import model_of_bundle
from unichunk.benchmarks.roofline.errors import ProjectionError
from unichunk.benchmarks.roofline.peers import pi05
from unichunk.runtime.compile.compile_options import INSTRUCTION_TOKENS
from unichunk.runtime.compile.config import config_of, read_config
from unichunk.runtime.compile.config_document import CONFIG_FILE, parse_config
from unichunk.runtime.compile.sizes import BEING_H_2B, Sizes, config_document
from unichunk.runtime.policy.manifest import MANIFEST_NAME
from unichunk.server.shipped_bundles import shipped_bundles

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.benchmarks.roofline.architecture import Model

BEING_H05_2B: Final = "being-h05-2b"
PI05: Final = "pi05"
NAMES: Final = (BEING_H05_2B, PI05)
DEFAULT_VIEWS: Final = 2


def named_model(name: str) -> Model:
    """A published size.

    Raises:
        ProjectionError: None goes by that name; the message names those that do.
    """
    if name == BEING_H05_2B:
        return model_of_sizes(name, BEING_H_2B)
    if name == PI05:
        return pi05()
    raise ProjectionError(f"unknown size {name!r}: expected one of {', '.join(NAMES)}; or give a folder with --policy")


def model_of_sizes(
    name: str, sizes: Sizes, *, instruction_tokens: int = INSTRUCTION_TOKENS, precision: str = "bf16"
) -> Model:
    """A model of chosen sizes, with two views."""
    config = config_of(parse_config(json.dumps(config_document(sizes)).encode(), CONFIG_FILE))
    return model_of(config, name, views=DEFAULT_VIEWS, instruction_tokens=instruction_tokens, precision=precision)


def model_in(path: Path) -> Model:
    """The model of a bundle or of a checkpoint.

    Args:
        path: Its folder, or the name of a shipped bundle.

    Raises:
        ProjectionError: Neither is there.
        UnichunkError: It is there and wrong.
    """
    shipped = {bundle.name: bundle for bundle in shipped_bundles()}
    folder = shipped[path.name] if not path.exists() and str(path) in shipped else path
    if (folder / MANIFEST_NAME).is_file():
        return model_of_bundle(folder)
    if (folder / CONFIG_FILE).is_file():
        name = folder.resolve().name
        return model_of(
            read_config(folder), name, views=DEFAULT_VIEWS, instruction_tokens=INSTRUCTION_TOKENS, precision="bf16"
        )
    raise ProjectionError(
        f"--policy {path}: neither a bundle ({MANIFEST_NAME}) nor a checkpoint ({CONFIG_FILE}) there; "
        f"expected such a folder or one of {', '.join(shipped)}"
    )
