"""Making a database's tables, and bringing those of older versions up to date (Alembic)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from unichunk.server.evaluation.errors import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

REVISION: Final = "0001"
"""The newest one in `migrations/versions/`."""


def upgrade(connection: Connection) -> None:
    """Make all tables, or bring them up to date; in the transaction of the caller.

    Raises:
        StoreUnavailable: For a database of a newer version.
    """
    found = revision(connection)
    if found == REVISION:
        return
    # Half a second to import, and most of the time there is nothing to do.
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = migrations()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise StoreUnavailable(
            f"database: has tables of revision {found!r}, this version knows {REVISION!r}: install a newer unichunk"
        ) from None


def migrations() -> Config:
    """How Alembic finds the migrations."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def revision(connection: Connection) -> str | None:
    """Which revision the tables are of; None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return ", ".join(connection.execute(text("SELECT version_num FROM alembic_version")).scalars()) or None
