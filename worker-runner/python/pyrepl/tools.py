"""Owns the module `tools` as user code imports it: a function for each tool of the client, and the list of tools."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from types import ModuleType

from .guard import interruptible
from .library import LIBRARY
from .tool_arguments import make_doc, make_signature
from .tool_calls import DEFAULT_MAX_CALLS, DEFAULT_MAX_PARALLEL
from .tool_errors import ToolCancelled, ToolError, ToolTimeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .messages import Execute, ToolDefinition
    from .tool_calls import ToolCalls

    _Function = Callable[..., Any]

NAME = "tools"
_DOC = """The client's tools, each a function that blocks until the client has answered and returns the answer.

    tools.list()            the names of the tools
    tools.describe(name)    what the client says of one
    help(tools.NAME)        the same, to read
    await tools.aio.NAME()  the same call in a coroutine
"""


class Toolbox:
    """Makes the module, and binds the names of tools that the client wants in the session's namespace."""

    def __init__(self, calls: ToolCalls, namespace: dict[str, Any]) -> None:
        self._calls = calls
        self._namespace = namespace
        self._functions: dict[str, _Function] = {}
        self._aio_functions: dict[str, _Function] = {}
        self._injected: frozenset[str] = frozenset()
        self._described: dict[_Function, ToolDefinition] = {}
        self._inspect: Any | None = None
        # Between executions a checkpoint that is loaded may refer to a tool of the next execution.
        self._is_running = False
        self.module = _Tools(self)

    def begin(self, message: Execute) -> None:
        """Offer the tools of the execution that begins."""
        self._is_running = True
        tools = message.get("tools")
        if tools is None and not self._calls.definitions:
            return
        self._calls.open(
            message["execution_id"],
            tools or [],
            message.get("max_tool_calls", DEFAULT_MAX_CALLS),
            message.get("max_parallel_tool_calls", DEFAULT_MAX_PARALLEL),
        )
        self._inject()

    def end(self) -> None:
        """Take no more calls: the execution has ended."""
        self._is_running = False
        self._calls.close()

    def use_inspect(self, module: Any) -> None:
        """Give every function its signature from now on; before this module is loaded, nobody can ask for one."""
        # If our code had loaded the module before, this one is a stand-in that the import replaces.
        inspect = module if hasattr(module, "Signature") else LIBRARY.loaded("inspect")
        if inspect is None:
            return
        self._inspect = inspect
        for function, tool in self._described.items():
            function.__dict__["__signature__"] = make_signature(tool, inspect)

    def _inject(self) -> None:
        """Bind the names that the tools of this execution ask for, and take back those of tools that are gone."""
        wanted = frozenset(name for name, tool in self._calls.definitions.items() if tool["inject"])
        namespace = self._namespace
        for name in self._injected - wanted:
            if namespace.get(name) is self._functions.get(name):
                del namespace[name]
        for name in wanted:
            # A name that user code has bound anew since stays so.
            if name not in self._injected or name not in namespace:
                namespace[name] = self.function(name)
        self._injected = wanted

    def without_tools(self, names: list[str]) -> list[str]:
        """Return the names that are not bound to a tool by `inject`."""
        return [
            name for name in names if name not in self._functions or self._namespace[name] is not self._functions[name]
        ]

    def names(self) -> list[str]:
        """Return the Python names of the tools."""
        return list(self._calls.definitions)

    def find(self, name: str) -> ToolDefinition:
        """Return the definition of a tool by either of its names; ToolError if there is none."""
        for tool in self._calls.definitions.values():
            if name in (tool["python_name"], tool["name"]):
                return tool
        raise ToolError(f"there is no tool {name}", type="unknown_tool")

    def has(self, name: str) -> bool:
        """Say whether the module has a function of that name now."""
        return name in self._calls.definitions or (not self._is_running and not name.startswith("_"))

    def function(self, name: str) -> _Function:
        """Return the function of a tool, always the same one for a name, so that it can be pickled by name."""
        function = self._functions.get(name)
        if function is None:
            function = self._functions[name] = _make_function(self._calls, name)
        return self._describe(name, function)

    def aio_function(self, name: str) -> _Function:
        """Return the coroutine function of a tool."""
        function = self._aio_functions.get(name)
        if function is None:
            function = self._aio_functions[name] = _make_aio_function(self._calls, name)
        return self._describe(name, function)

    def _describe(self, name: str, function: _Function) -> _Function:
        tool = self._calls.definitions.get(name)
        if tool is not None and self._described.get(function) is not tool:
            self._described[function] = tool
            function.__doc__ = make_doc(tool)
            if self._inspect is None:
                self._inspect = LIBRARY.loaded("inspect")
            if self._inspect is not None:
                function.__dict__["__signature__"] = make_signature(tool, self._inspect)
        return function

    # The import system asks these of a loader.

    def spec(self) -> ModuleSpec:
        """Return the spec by which `import tools` finds the module."""
        return ModuleSpec(NAME, self, origin="the client")  # pyright: ignore[reportArgumentType]

    @interruptible
    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self.module

    @interruptible
    def exec_module(self, _module: ModuleType) -> None:
        """Do nothing: the module is complete."""


class _Names:
    """The functions under one name: `tools.aio`."""

    def __init__(self, box: Toolbox) -> None:
        self._box = box

    def __getattr__(self, name: str) -> _Function:
        if not self._box.has(name):
            raise AttributeError(f"there is no tool {name}")
        return self._box.aio_function(name)

    def __dir__(self) -> list[str]:
        return self._box.names()

    def __repr__(self) -> str:
        return "<the client's tools for coroutines>"


class _Tools(ModuleType):
    """The module. Its attributes are the tools of the execution that runs."""

    def __init__(self, box: Toolbox) -> None:
        super().__init__(NAME, _DOC)
        self._box = box
        self.ToolError = ToolError
        self.ToolTimeout = ToolTimeout
        self.ToolCancelled = ToolCancelled
        self.aio = _Names(box)
        self.list = _named(box.names, "list", "Return the Python names of the tools.")
        self.describe = _named(_describer(box), "describe", "Return what the client says of a tool, as a dict.")

    def __getattr__(self, name: str) -> _Function:
        if not self._box.has(name):
            raise AttributeError(f"there is no tool {name}; tools.list() names those there are")
        return self._box.function(name)

    def __dir__(self) -> list[str]:
        return ["ToolCancelled", "ToolError", "ToolTimeout", "aio", "describe", "list", *self._box.names()]

    def __reduce__(self) -> tuple[Any, ...]:
        return __import__, (NAME,)

    def __repr__(self) -> str:
        return "<module 'tools': the client's tools>"


def _describer(box: Toolbox) -> Callable[[str], dict[str, Any]]:
    def describe(name: str) -> dict[str, Any]:
        tool = box.find(str(name))
        return {key: value for key, value in tool.items() if key != "inject"}

    return describe


def _named(function: _Function, name: str, doc: str) -> _Function:
    def call(*positional: Any, **named: Any) -> Any:
        return function(*positional, **named)

    call.__name__ = call.__qualname__ = name
    call.__module__ = NAME
    call.__doc__ = doc
    return call


def _make_function(calls: ToolCalls, name: str) -> _Function:
    def tool(*positional: Any, **named: Any) -> Any:
        return calls.call(name, positional, named)

    tool.__name__ = tool.__qualname__ = name
    tool.__module__ = NAME
    return tool


def _make_aio_function(calls: ToolCalls, name: str) -> _Function:
    async def tool(*positional: Any, **named: Any) -> Any:
        return await calls.call_async(name, positional, named)

    tool.__name__ = name
    tool.__qualname__ = f"aio.{name}"
    tool.__module__ = NAME
    return tool
