"""Owns questions to the client: input(), getpass and sys.stdin, from any thread, over the protocol."""

from __future__ import annotations

import _thread
import os

from .answers import Waiter
from .guard import acquire_interruptibly, interruptible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .answers import Answers
    from .output import Output

MAX_PROMPT_CHARS = 1 << 16


class Prompts:
    """At most one question at a time, from any thread."""

    def __init__(self, output: Output, answers: Answers) -> None:
        self._output = output
        self._answers = answers
        self._lock = _thread.allocate_lock()
        self.execution_id: str | None = None

    def start(self) -> None:
        """Begin anew, in a process that was just forked."""
        self._lock = _thread.allocate_lock()

    def ask(self, prompt: str, is_password: bool) -> str | None:
        """Return the line that the client sent, or None at the end of input."""
        if self.execution_id is None or not self._output.is_open:
            return None
        acquire_interruptibly(self._lock)
        try:
            return self._ask(prompt, is_password)
        finally:
            self._lock.release()

    def _ask(self, prompt: str, is_password: bool) -> str | None:
        execution_id = self.execution_id
        if execution_id is None:
            return None
        input_id = os.urandom(8).hex()
        waiter = Waiter()
        self._answers.expect(input_id, waiter)
        try:
            self._output.send_message(
                {
                    "type": "input",
                    "execution_id": execution_id,
                    "input_id": input_id,
                    "prompt": prompt,
                    "password": is_password,
                }
            )
            self._answers.wait(waiter)
        finally:
            self._answers.forget(input_id)
        return None if waiter.answer is None else waiter.answer["value"]


def make_input(prompts: Prompts, get_stdin: Callable[[], Any], own_stdin: Any) -> Callable[..., str]:
    """Return the `input` of builtins."""

    def read_line(prompt: object = "") -> str:
        """Read a string from the client. The prompt string, if given, is shown there; end of file raises EOFError."""
        text = ask_user_text(prompt)
        stdin = get_stdin()
        if stdin is not own_stdin:
            return _input_from(stdin, text)
        answer = prompts.ask(text, False)
        if answer is None:
            raise EOFError("EOF when reading a line")
        return answer[:-1] if answer.endswith("\n") else answer

    interruptible(read_line)
    read_line.__name__ = read_line.__qualname__ = "input"
    read_line.__module__ = "builtins"
    return read_line


def make_getpass(prompts: Prompts) -> Callable[..., str]:
    """Return the `getpass` of the getpass module."""

    def getpass(prompt: str = "Password: ", stream: Any = None, **_options: Any) -> str:
        """Ask the client for a password; the client does not show it."""
        answer = prompts.ask(ask_user_text(prompt), True)
        if answer is None:
            raise EOFError("EOF when reading a line")
        return answer[:-1] if answer.endswith("\n") else answer

    return interruptible(getpass)


@interruptible
def ask_user_text(prompt: object) -> str:
    """Return the prompt's text as an exact str that UTF-8 can carry or JSON escape."""
    text = str.__str__(str(prompt))
    return text if len(text) <= MAX_PROMPT_CHARS else text[:MAX_PROMPT_CHARS] + "…"


@interruptible
def _input_from(stdin: Any, prompt: str) -> str:
    if stdin is None:
        raise RuntimeError("input(): lost sys.stdin")
    print(prompt, end="", flush=True)
    line = stdin.readline()
    if not line:
        raise EOFError("EOF when reading a line")
    return line[:-1] if line.endswith("\n") else line
