"""Owns the constants and the checksum that the writer and the reader of a checkpoint blob share (docs/checkpoint-format.md)."""

from __future__ import annotations

import struct
import sys

from ..library import LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

MAGIC = b"PYREPL3-CHECKPOINT\n"
FORMAT_VERSION = 1
VALID, VOID = 0, 0xFFFFFFFF
U32 = struct.Struct("<I")

Meta: TypeAlias = "dict[str, Any]"


def python_name() -> str:
    """Return the Python that a blob must have been written by: implementation and minor version."""
    return f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}"


def new_sha256() -> Any:
    """Return a new SHA-256 hash."""
    # Imported at the first checkpoint only, because OpenSSL takes several megabytes in every process.
    return LIBRARY.load("hashlib").sha256()
