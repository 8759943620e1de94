"""Makes the tables and plots of the project's pages anew, from stored results.

    python -m unichunk.benchmarks.summary [--results benchmarks/results] [--pages README.md benchmarks/README.md]

Run it in the repository after a benchmark has written its document to the folder of results.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tyro

from unichunk.benchmarks.harness.document import write_whole
from unichunk.benchmarks.harness.figures import FiguresUnavailable
from unichunk.benchmarks.summary.drawings import drawings_of
from unichunk.benchmarks.summary.readme_blocks import replace_blocks
from unichunk.benchmarks.summary.readme_tables import BLOCKS
from unichunk.benchmarks.summary.stored import ResultUnreadable, read_document

PLOTS: Final = "plots"


@dataclass(frozen=True)
class Options:
    """Where things are."""

    results: Path = Path("benchmarks/results")
    """Folder of the documents; plots go into its folder `plots`."""
    pages: tuple[Path, ...] = (Path("README.md"), Path("benchmarks/README.md"))
    """Pages with marked blocks."""


def main() -> None:
    """Entry point."""
    options = tyro.cli(Options, description=__doc__)
    try:
        blocks = blocks_of(options.results)
        # Everything is made before anything is written: pages and plots are of the same results, or none is touched.
        files = {page: replace_blocks(page.read_text(encoding="utf-8"), blocks) for page in options.pages}
        files |= plots_of(options.results)
        (options.results / PLOTS).mkdir(exist_ok=True)
        for path, text in files.items():
            write_whole(path, text.encode())
    except KeyError as error:
        problem = f"a page has a block, or a document lacks something, that goes by {error}"
    except (OSError, ResultUnreadable, FiguresUnavailable) as error:
        problem = str(error)
    else:
        return
    print(f"unichunk.benchmarks.summary: {problem}", file=sys.stderr)
    raise SystemExit(2)


def blocks_of(results: Path) -> dict[str, str]:
    """Content of every block that can be marked in a page.

    Raises:
        ResultUnreadable: A document is missing or damaged.
    """
    documents = {name: read_document(results / f"{name}.json") for name in BLOCKS}
    return {make.__name__: make(documents[name]) for name, makers in BLOCKS.items() for make in makers}


def plots_of(results: Path) -> dict[Path, str]:
    """Where each plot goes, and its SVG.

    Raises:
        ResultUnreadable: A document is missing or damaged.
        FiguresUnavailable: Where matplotlib is missing.
    """
    documents = {name: read_document(results / f"{name}.json") for name in BLOCKS}
    return {
        results / PLOTS / f"{name}_{_slug(caption)}.svg": svg
        for name, document in documents.items()
        for caption, svg in drawings_of(document).items()
    }


def _slug(caption: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", caption.partition(":")[0].partition(" of ")[0].lower()).strip("_")


if __name__ == "__main__":
    main()
