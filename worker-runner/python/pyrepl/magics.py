"""Owns carrying out notebook lines: shell commands, line and cell magics, and help on a name."""

from __future__ import annotations

import os
import sys

from .guard import interruptible
from .library import LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class UsageError(Exception):
    """A magic that does not exist, or is used wrongly."""

    __module__ = "builtins"


class Magics:
    """The magics over one session's namespace.

    `run_code` compiles and evaluates text as an execution does; `install` installs what the arguments of pip name.
    """

    def __init__(
        self, namespace: dict[str, Any], run_code: Callable[[str, str], Any], install: Callable[[list[str]], None]
    ) -> None:
        self._namespace = namespace
        self._run_code = run_code
        self._install = install
        self._lines: dict[str, Callable[[str], Any]] = {
            "cd": self._cd,
            "env": self._env,
            "load_ext": _do_nothing,
            "ls": self._ls,
            "matplotlib": _do_nothing,
            "pip": self._pip,
            "pwd": lambda _arguments: os.getcwd(),
            "run": self._run,
            "time": self._time,
            "timeit": self._timeit,
            "who": self._who,
        }
        self._cells: dict[str, Callable[[str, str], Any]] = {
            "bash": lambda _arguments, body: self.system(body, is_bash=True),
            "capture": self._capture,
            "time": lambda arguments, body: self._time(f"{arguments}\n{body}"),
            "timeit": lambda arguments, body: self._timeit(f"{arguments}\n{body}"),
            "writefile": self._write_file,
        }

    @interruptible
    def line(self, name: str, arguments: str) -> Any:
        """Run `%name arguments`."""
        magic = self._lines.get(name)
        if magic is None:
            known = ", ".join(f"%{each}" for each in sorted(self._lines))
            raise UsageError(f"Line magic %{name} does not exist. There are: {known}")
        return magic(arguments)

    @interruptible
    def cell(self, name: str, arguments: str, body: str) -> Any:
        """Run `%%name arguments` over the lines below it."""
        magic = self._cells.get(name)
        if magic is None:
            known = ", ".join(f"%%{each}" for each in sorted(self._cells))
            raise UsageError(f"Cell magic %%{name} does not exist. There are: {known}")
        return magic(arguments, body)

    @interruptible
    def system(self, command: str, *, is_bash: bool = False) -> None:
        """Run a shell command in the working directory; its output streams, and `_exit_code` tells how it ended."""
        expanded = self._expand(command)
        arguments = None if is_bash else _arguments_of_pip_install(expanded)
        if arguments is not None:
            self._install(arguments)
            self._namespace["_exit_code"] = 0
            return
        subprocess = LIBRARY.load("subprocess")
        shell = "/bin/bash" if is_bash or os.path.exists("/bin/bash") else "/bin/sh"
        sys.stdout.flush()
        ended = subprocess.run([shell, "-c", expanded], stdin=subprocess.DEVNULL, check=False)
        self._namespace["_exit_code"] = ended.returncode

    @interruptible
    def get_output(self, command: str) -> list[str]:
        """Run a shell command and return the lines that it writes to stdout."""
        subprocess = LIBRARY.load("subprocess")
        shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
        ended = subprocess.run(
            [shell, "-c", self._expand(command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
        )
        self._namespace["_exit_code"] = ended.returncode
        return ended.stdout.decode(errors="replace").splitlines()

    @interruptible
    def explain(self, name: str, with_source: bool) -> None:
        """Print what a name is: its type, signature and documentation, or its source."""
        inspect = LIBRARY.load("inspect")
        value = self._value_of(name)
        if with_source:
            try:
                print(inspect.getsource(value))
                return
            except (TypeError, OSError):
                pass
        try:
            print(f"Signature: {name}{inspect.signature(value)}")
        except (TypeError, ValueError):
            print(f"Value:     {value!r:.200}")
        print(f"Type:      {type(value).__name__}")
        print(f"Docstring: {inspect.getdoc(value) or '<no docstring>'}")

    def _value_of(self, name: str) -> Any:
        first, *rest = name.split(".")
        if first in self._namespace:
            value = self._namespace[first]
        else:
            try:
                value = getattr(self._namespace["__builtins__"], first)
            except AttributeError:
                raise UsageError(f"The name {first} is not defined.") from None
        for attribute in rest:
            value = getattr(value, attribute)
        return value

    def _expand(self, command: str) -> str:
        """Put the values of `{expression}` and `$name` into a command; anything else in braces or with `$` is the shell's."""
        re = LIBRARY.load("re")

        def replace(match: Any) -> str:
            braced, name = match.group(1), match.group(2)
            if name is not None:
                return str(self._namespace[name]) if name in self._namespace else match.group(0)
            try:
                return str(eval(braced, self._namespace))
            except Exception:
                return match.group(0)

        return re.sub(r"\{([^{}]+)\}|\$([A-Za-z_]\w*)", replace, command)

    def _cd(self, arguments: str) -> None:
        os.chdir(os.path.expanduser(self._expand(arguments) or "~"))
        print(os.getcwd())

    def _ls(self, arguments: str) -> None:
        self.system("ls " + arguments)

    def _env(self, arguments: str) -> Any:
        if not arguments:
            return dict(os.environ)
        name, equals, value = arguments.partition("=")
        if not equals:
            name, equals, value = arguments.partition(" ")
        if not equals:
            return os.environ.get(name)
        os.environ[name.strip()] = self._expand(value.strip())
        print(f"env: {name.strip()}={os.environ[name.strip()]}")
        return None

    def _pip(self, arguments: str) -> None:
        if arguments.split()[:1] == ["install"]:
            self._install(_split(self._expand(arguments))[1:])
        else:
            self.system(f"{sys.executable} -m pip {arguments}")

    def _who(self, _arguments: str) -> None:
        names = [name for name in self._namespace if not name.startswith("_")]
        print("\t".join(sorted(names)) if names else "The session has no names.")

    def _run(self, arguments: str) -> None:
        path = self._expand(arguments).split()
        if not path:
            raise UsageError("%run needs the name of a file.")
        with open(path[0], encoding="utf-8") as file:
            text = file.read()
        argv = sys.argv
        sys.argv = path
        try:
            self._run_code(text, os.path.abspath(path[0]))
        finally:
            sys.argv = argv

    def _time(self, code: str) -> Any:
        time = LIBRARY.load("time")
        wall, processor = time.perf_counter(), time.process_time()
        try:
            return self._run_code(code, "<%time>")
        finally:
            used, passed = time.process_time() - processor, time.perf_counter() - wall
            print(f"CPU time: {_seconds(used)}\nWall time: {_seconds(passed)}")

    def _timeit(self, code: str) -> None:
        timeit = LIBRARY.load("timeit")
        timer = timeit.Timer(code.strip() or "pass", globals=self._namespace)
        number, _ = timer.autorange()
        times = [each / number for each in timer.repeat(5, number)]
        print(f"{_seconds(min(times))} per loop (best of 5 runs, {number:,} loops each)")

    def _write_file(self, arguments: str, body: str) -> None:
        append = arguments.startswith("-a ")
        path = self._expand(arguments.removeprefix("-a ").strip())
        if not path:
            raise UsageError("%%writefile needs the name of a file.")
        is_there = os.path.exists(path)
        with open(path, "a" if append else "w", encoding="utf-8") as file:
            file.write(body if body.endswith("\n") or not body else body + "\n")
        print(f"{'Appending to' if append else 'Overwriting' if is_there else 'Writing'} {path}")

    def _capture(self, arguments: str, body: str) -> None:
        io, contextlib = LIBRARY.load("io"), LIBRARY.load("contextlib")
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                self._run_code(body, "<%%capture>")
        finally:
            name = arguments.split()[:1]
            if name:
                self._namespace[name[0]] = Captured(out.getvalue(), err.getvalue())


class Captured:
    """What a `%%capture` cell wrote to Python's stdout and stderr."""

    def __init__(self, stdout: str, stderr: str) -> None:
        self.stdout = stdout
        self.stderr = stderr

    def __str__(self) -> str:
        return self.stdout

    def show(self) -> None:
        """Write it again."""
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)


def _arguments_of_pip_install(command: str) -> list[str] | None:
    """Return the arguments of a shell command that is one `pip install` and nothing else; None for any other."""
    if "pip" not in command or "install" not in command:
        return None
    shlex = LIBRARY.load("shlex")
    try:
        words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
        arguments: list[str] = shlex.split(command)
    except ValueError:
        return None
    if any(word and not word.strip("();<>|&") for word in words):
        return None
    if len(arguments) > 3 and os.path.basename(arguments[0]).startswith("python") and arguments[1:3] == ["-m", "pip"]:
        del arguments[:2]
    is_install = len(arguments) > 1 and arguments[0] in ("pip", "pip3") and arguments[1] == "install"
    return arguments[2:] if is_install else None


def _split(arguments: str) -> list[str]:
    try:
        words: list[str] = LIBRARY.load("shlex").split(arguments)
    except ValueError as error:
        raise UsageError(f"The arguments cannot be read: {error}.") from None
    return words


def _do_nothing(_arguments: str) -> None:
    return None


def _seconds(value: float) -> str:
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
