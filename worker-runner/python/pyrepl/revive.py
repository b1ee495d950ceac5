"""Owns replacing the kernel objects that a new live process shares with its snapshot: epoll sets, self-pipes of event loops.

An epoll set belongs to all processes that inherited its descriptor: a registration in one process holds for all. So every
selector and event loop gets a set of its own with the same registrations. A bare `select.epoll` of user code cannot be found.
"""

from __future__ import annotations

import gc
import os
import select
import signal

from .library import LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EPOLL_LINK = "anon_inode:[eventpoll]"


def renew_selectors() -> None:
    """Give every selector and asyncio loop of this process kernel objects of its own."""
    selectors: Any = LIBRARY.loaded("selectors")
    kind = getattr(selectors, "EpollSelector", None)
    if not isinstance(kind, type) or not _has_epoll():
        return
    loop_kind = getattr(LIBRARY.loaded("asyncio.selector_events"), "BaseSelectorEventLoop", kind)
    loops: list[Any] = []
    for found in gc.get_objects():
        if issubclass(type(found), kind):
            _renew_selector(found)
        elif issubclass(type(found), loop_kind):
            loops.append(found)
    for loop in loops:
        _renew_self_pipe(loop)


def _has_epoll() -> bool:
    for entry in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{entry}") == _EPOLL_LINK:
                return True
        except OSError:
            continue
    return False


def _renew_selector(selector: Any) -> None:
    try:
        old = selector._selector
        if old.closed:
            return
        new = select.epoll()
        selector._selector = new
        for descriptor, key in selector._fd_to_key.items():
            try:
                new.register(descriptor, (key.events & 1 and select.EPOLLIN) | (key.events & 2 and select.EPOLLOUT))
            except OSError:
                continue
        old.close()
    except Exception:
        return


def _renew_self_pipe(loop: Any) -> None:
    try:
        if loop.is_closed() or loop._ssock is None:
            return
        loop._close_self_pipe()
        loop._make_self_pipe()
        if loop._signal_handlers:
            signal.set_wakeup_fd(loop._csock.fileno())
    except Exception:
        return
