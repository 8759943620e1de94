"""The data files of the dataset: an episode after the other, the next file where one is large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE_MB: Final = 100
"""A data file that is larger is followed by another one."""
CHUNK: Final = 1000
"""Files in a folder."""
FILES: Final = "{folder}/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
"""Where files are; `folder` is `data` or `meta/episodes`."""
_PAGE: Final = 1 << 30
"""Room for the dictionary of a column, [byte]: all pictures of an episode fit, each once."""


class DataFiles:
    """Writes `data/`; to be closed.

    Args:
        folder: Of the dataset.
        schema: Of its columns.
    """

    def __init__(self, folder: Path, schema: Any) -> None:
        self.schema = schema
        self._folder = folder
        self._number = 0
        self._writer: Any = None
        self._path = self._path_of(0)

    def write(self, tables: Iterable[Any]) -> tuple[int, int]:
        """Add an episode.

        Args:
            tables: Its rows; each becomes a row group.

        Returns:
            The numbers of its chunk and file.
        """
        if self._writer is not None and self._path.stat().st_size >= FILE_MB << 20:
            self.close()
            self._number += 1
        if self._writer is None:
            self._path = self._path_of(self._number)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            options: dict[str, Any] = {"compression": "snappy", "dictionary_pagesize_limit": _PAGE}
            self._writer = pq.ParquetWriter(self._path, self.schema, **options)
        for table in tables:
            self._writer.write_table(table, row_group_size=max(len(table), 1))
        return divmod(self._number, CHUNK)

    def close(self) -> None:
        """Finish the file that is being written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _path_of(self, number: int) -> Path:
        chunk, file = divmod(number, CHUNK)
        return self._folder / FILES.format(folder="data", chunk_index=chunk, file_index=file)
