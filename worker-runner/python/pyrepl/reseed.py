"""Owns reseeding a process forked from the zygote: random numbers and other values that modules took at import are taken anew.

The random module seeds itself in each forked process, and OpenSSL does too. The string hash secret and the addresses of what
was loaded before the fork stay the same in all sessions of a zygote (docs/security.md).
"""

from __future__ import annotations

import os

from .library import LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def reseed() -> None:
    """Seed every generator of loaded modules, and forget names, keys and folders that they chose."""
    random: Any = LIBRARY.loaded("random")
    if random is not None:
        random.seed()
    numpy_random: Any = LIBRARY.loaded("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    uuid: Any = LIBRARY.loaded("uuid")
    if uuid is not None:
        uuid._node = uuid._last_timestamp = None
    tempfile: Any = LIBRARY.loaded("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = tempfile.tempdir = None
    process: Any = LIBRARY.loaded("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)
    ssl: Any = LIBRARY.loaded("_ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(32), 32.0)
    matplotlib: Any = LIBRARY.loaded("matplotlib")
    if matplotlib is not None:
        for find in (matplotlib.get_configdir, matplotlib.get_cachedir):
            getattr(find, "cache_clear", _do_nothing)()


def _do_nothing() -> None:
    return None
