"""Owns importing the modules of `PRELOAD` before a session needs them."""

from __future__ import annotations

import os


def import_ahead(name: str, log: int) -> None:
    """Import a module; a failure goes to the descriptor `log` and to nobody else."""
    try:
        __import__(name)
    except Exception as error:
        os.write(log, f"PRELOAD: {name} cannot be imported: {error!r}\n".encode("utf-8", "replace"))
