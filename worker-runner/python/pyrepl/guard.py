"""Owns deciding when a Python signal handler may run: in user code and in our waits, never in the middle of our own work.

Handlers run between any two bytecodes of the main thread and may raise (KeyboardInterrupt, a user's TimeoutError from
SIGALRM). Inside our code that would tear a frame or lose a lock. So every handler that is installed while user code runs is
wrapped: the wrapper looks up the stack for our nearest frame. If that frame calls user code or merely waits (`interruptible`),
the handler runs. Otherwise it runs at the end of the `print` that was interrupted, or the pump thread sends the signal again a
millisecond later.
"""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]
import _thread
import signal
import time
from types import CodeType, FrameType

from .own_modules import OWN_PREFIX, real_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _Function = TypeVar("_Function", bound=Callable[..., Any])

_interruptible_code: set[CodeType] = set()

_set_handler: Callable[[int, Any], Any] = _signal.signal
_set_mask: Callable[[int, Any], Any] = _signal.pthread_sigmask
_SIG_BLOCK, _SIG_SETMASK = int(signal.SIG_BLOCK), int(signal.SIG_SETMASK)
_SIGINT = int(signal.SIGINT)
_ONLY_SIGINT = frozenset((_SIGINT,))
_SIG_IGN = int(signal.SIG_IGN)
_default_int_handler = signal.default_int_handler
_pthread_kill: Callable[[int, int], None] = _signal.pthread_kill
_get_ident, _start_thread, _sleep = _thread.get_ident, _thread.start_new_thread, time.sleep
_REPEAT_SECONDS = 0.001
_raise_signal: Callable[[int], None] = _signal.raise_signal


def interruptible(function: _Function) -> _Function:
    """Let signal handlers interrupt this function of ours."""
    _interruptible_code.add(function.__code__)
    return function


@interruptible
def call_user(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function that may be user code; signal handlers run as they do anywhere in user code."""
    return function(*arguments)


@interruptible
def acquire_interruptibly(lock: Any) -> None:
    """Wait for a lock; a signal handler that raises leaves it unlocked."""
    acquired: list[bool] = []
    try:
        # Acquiring and recording both happen in C, so that no handler runs in between.
        acquired.extend(map(lock.acquire, (True,)))
    except BaseException:
        if acquired:
            lock.release()
        raise


@interruptible
def deliver(postponed: list[int]) -> None:
    """Run the handlers of signals that came in the middle of our own work; their exceptions propagate to user code.

    Code that does little but print is inside our work whenever the pump repeats a signal, so the pump's repetition alone might
    never succeed.
    """
    while postponed:
        _raise_signal(postponed.pop(0))


def is_own(code: CodeType) -> bool:
    """Say whether `code` belongs to this package."""
    return code.co_filename.startswith(OWN_PREFIX)


def _is_busy(frame: FrameType | None) -> bool:
    while frame is not None:
        code = frame.f_code
        if code in _interruptible_code:
            return False
        if code.co_filename.startswith(OWN_PREFIX):
            return True
        frame = frame.f_back
    return False


def repeat_soon(signum: int) -> None:
    """Send a postponed signal to this thread again in a moment, in a process that user code forked: it has no pump."""
    main_thread = _get_ident()

    def repeat() -> None:
        _sleep(_REPEAT_SECONDS)
        _pthread_kill(main_thread, signum)

    _start_thread(repeat, ())


def _drop(_signum: int) -> None:
    """Do nothing, until a pump takes postponed signals."""


def _never() -> bool:
    """Say no, until there is output."""
    return False


def _nothing() -> None:
    """Do nothing, until a pump has signals to forget."""


class _Guarded:
    """A user's signal handler behind the guard."""

    __slots__ = ("guard", "handler")

    def __init__(self, guard: Guard, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.guard = guard
        self.handler = handler

    def __call__(self, signum: int, frame: FrameType | None) -> Any:
        guard = self.guard
        if not guard.is_running_user_code:
            return None
        if _is_busy(frame) or guard.is_in_line():
            guard.postpone(signum)
            return None
        if signum == _SIGINT:
            guard.interrupts += 1
            guard.note_interrupts(guard.interrupts)
        return self.handler(signum, frame)


class Guard:
    """The signal state of one live process."""

    __slots__ = (
        "_user_sigint",
        "forget_postponed",
        "interrupts",
        "is_in_line",
        "is_running_user_code",
        "note_interrupts",
        "postpone",
    )

    def __init__(self, note_interrupts: Callable[[int], None]) -> None:
        self.interrupts = 0
        self.note_interrupts = note_interrupts
        self.is_running_user_code = False
        self.is_in_line: Callable[[], bool] = _never
        self.postpone: Callable[[int], None] = _drop
        self.forget_postponed: Callable[[], None] = _nothing
        self._user_sigint: Any = _Guarded(self, _default_int_handler)

    def install(self) -> None:
        """Put the guard into the signal module, so that handlers of user code pass through it."""
        module = real_module("signal")
        set_unguarded, get_handler = module.signal, module.getsignal

        def set_guarded(signalnum: int, handler: Any) -> Any:
            """Set the action for the given signal; see the signal module's documentation."""
            guarded = handler
            if callable(handler) and not isinstance(handler, signal.Handlers):
                guarded = _Guarded(self, handler)
            return unwrap(set_unguarded(signalnum, guarded))

        def get_unguarded(signalnum: int) -> Any:
            """Return the current action for the given signal; see the signal module's documentation."""
            return unwrap(get_handler(signalnum))

        def unwrap(handler: Any) -> Any:
            return handler.handler if type(handler) is _Guarded else handler

        set_guarded.__name__ = set_guarded.__qualname__ = "signal"
        get_unguarded.__name__ = get_unguarded.__qualname__ = "getsignal"
        _interruptible_code.add(set_guarded.__code__)
        module.signal = set_guarded
        module.getsignal = get_unguarded

    def enter_user_code(self) -> None:
        """Give SIGINT to user code's handler, and count its calls from 0."""
        self.interrupts = 0
        self.note_interrupts(0)
        _set_handler(_SIGINT, self._user_sigint)

    def leave_user_code(self) -> None:
        """Ignore SIGINT until the next execution, and keep user code's handler for it.

        A signal that was postponed in this execution must not be repeated in the next one. SIGINT is blocked while the handler
        changes; otherwise Python could print an OSError ("ignored due to race condition") to user code's stderr.
        """
        self.is_running_user_code = False
        self.forget_postponed()
        mask = _set_mask(_SIG_BLOCK, _ONLY_SIGINT)
        handler = _set_handler(_SIGINT, _SIG_IGN)
        _set_mask(_SIG_SETMASK, mask)
        # None means that code in C has set the handler. Python cannot restore that one, and uses its own.
        self._user_sigint = _Guarded(self, _default_int_handler) if handler is None else handler
