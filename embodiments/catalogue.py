"""Which embodiments there are: those that ship with the project, and anybody's own by file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from unichunk.embodiments.errors import SpecError, UnknownEmbodiment
from unichunk.embodiments.model import check_model
from unichunk.embodiments.spec_file import parse_spec
from unichunk.kinematics.description import robot_names

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec


def embodiment_names() -> tuple[str, ...]:
    """Names of all embodiments that ship with the project, sorted."""
    folder = resources.files("unichunk.embodiments") / "specs"
    return tuple(sorted(entry.name[: -len(".json")] for entry in folder.iterdir() if entry.name.endswith(".json")))


def load_spec(name_or_path: str | Path) -> EmbodimentSpec:
    """The spec of a shipped embodiment by its name, or anybody's own by the path of its file.

    Args:
        name_or_path: A name, or a path: whatever has a slash or ends in `.json`. What the file names beside itself, its
            model and the module of its driver, are absolute paths in the spec returned.

    Raises:
        UnknownEmbodiment: Where no embodiment goes by that name; the message lists those that exist.
        SpecError: Where the file cannot be read, does not parse, or does not fit its model.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or "/" in text or text.endswith(".json"):
        try:
            content = Path(name_or_path).read_bytes()
        except OSError as error:
            raise SpecError(f"{text}: cannot be read ({error.strerror}); expected the spec of a robot") from None
        return _with_files_beside(parse_spec(content, text), Path(name_or_path), text)
    if text not in embodiment_names():
        known = ", ".join(embodiment_names())
        raise UnknownEmbodiment(
            f"unknown embodiment {text!r}: expected one of {known} (see `unichunk embodiments`), or the path of a spec"
        )
    path = resources.files("unichunk.embodiments") / "specs" / f"{text}.json"
    return parse_spec(path.read_bytes(), f"specs/{text}.json")


def _with_files_beside(spec: EmbodimentSpec, path: Path, origin: str) -> EmbodimentSpec:
    folder = path.absolute().parent
    if spec.model not in robot_names():
        spec = msgspec.structs.replace(spec, model=str(folder / spec.model))
    if spec.driver is not None:
        module, _, name = spec.driver.partition(":")
        file = folder / f"{module}.py"
        if file.is_file():
            spec = msgspec.structs.replace(spec, driver=f"{file}:{name}")
    check_model(spec, origin)
    return spec
