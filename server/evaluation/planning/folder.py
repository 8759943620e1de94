"""What lies where in the folder of a campaign."""

from __future__ import annotations

from typing import Final

PLAN: Final = "plan.json"
"""The plan; nothing in it is secret."""

COMMITMENT: Final = "commitment.json"
"""What is published before the first trial."""

SEALED: Final = "sealed.json"
"""Seed, salt and map key, sealed to the admin's key."""

PRIVATE: Final = "private"
"""Folder, mode 0700, of what the running service alone may read."""

SERVICE: Final = "private/service.json"
ADMIN_KEY: Final = "private/admin.key"
"""Where the admin's key is put if nobody named a better place; it should not stay there."""

DATABASE_URL: Final = "private/database.json"
PLACES: Final = "private/places.json"
"""Where the campaign file lay, which relative paths of bundles and of the robot's spec start from."""

PHOTOS: Final = "photos"
UNBLINDED: Final = "unblinded.json"
"""Seed, salt and map key in the clear, once the campaign is complete."""
