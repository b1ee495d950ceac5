"""Owns the names that a checkpoint treats specially: those of the module itself, and the pseudo-name of the last value."""

from __future__ import annotations

LAST_VALUE = "builtins._"
"""The name under which a checkpoint holds `_`, which is not in the namespace."""

OWN_NAMES = frozenset(("__builtins__", "__name__", "__doc__", "__package__", "__loader__", "__spec__"))
"""Names that every `__main__` has; a checkpoint neither saves nor clears them."""
