"""Calls of the client's tools: from statements, coroutines and threads, their answers, their ends and what there is to see."""

from __future__ import annotations

import signal
import unittest
from collections.abc import Callable
from typing import Any

from channel_driver import Message, Outcome
from session_case import SessionCase


def tool(name: str, **about: Any) -> dict[str, Any]:
    """A tool as the runner passes it on."""
    python_name = name.replace("-", "_").replace(".", "_")
    return {"name": name, "python_name": python_name, "timeout": 240, "inject": False, **about}


SEARCH = tool(
    "search",
    description="Finds pages.",
    input_schema={
        "type": "object",
        "properties": {"query": {"type": "string", "description": "What to find."}, "limit": {"type": "integer"}},
        "required": ["query"],
    },
    output_schema={"type": "array"},
)
ECHO = tool("echo")


def echo(call: Message) -> Any:
    """Answer a call with its arguments."""
    return call["arguments"]


class ToolCase(SessionCase):
    """A test that answers tool calls."""

    def answer(self, call: Message, value: Any) -> None:
        """Answer one call."""
        self.session.live.send(type="tool_answer", call_id=call["call_id"], status="ok", value=value)

    def run_tools(self, code: str, answer: Callable[[Message], Any] = echo, **options: Any) -> Outcome:
        """Run code with tools, answering each call as it comes."""
        options.setdefault("tools", [SEARCH, ECHO])
        self.session.start(code, **options)
        events: list[Message] = []
        while True:
            message = self.session.live.receive()
            events.append(message)
            if message["type"] == "tool_call":
                self.answer(message, answer(message))
            if message["type"] in ("result", "error"):
                return Outcome(events)

    def calls(self, outcome: Outcome) -> list[Message]:
        """The calls of an execution."""
        return [event for event in outcome.events if event["type"] == "tool_call"]


class Calling(ToolCase):
    """What goes out and what comes back."""

    def test_the_value_is_what_the_client_sent(self) -> None:
        outcome = self.run_tools("import tools\ntools.search(query='x')", lambda _: {"hits": [1, "é", None]})
        self.assertEqual(outcome.value, {"hits": [1, "é", None]})
        (call,) = self.calls(outcome)
        self.assertEqual((call["name"], call["arguments"]), ("search", {"query": "x"}))

    def test_positional_arguments_are_named_in_the_order_of_the_schema(self) -> None:
        outcome = self.run_tools("import tools\ntools.search('x', 3)")
        self.assertEqual(outcome.value, {"query": "x", "limit": 3})

    def test_wrong_arguments_raise_before_anything_is_sent(self) -> None:
        for call, words in (
            ("search()", "missing required arguments: 'query'"),
            ("search('x', 1, 2)", "takes 2 positional arguments but 3 were given"),
            ("search('x', query='y')", "multiple values for argument 'query'"),
            ("search('x', page=1)", "unexpected keyword argument 'page'"),
            ("echo(a={1})", "a: set is not JSON"),
            ("echo(a=[{1: 2}])", "a[0]: a key of type int is not JSON"),
            ("echo(a=float('nan'))", "nan is not JSON"),
            ("echo(a=2**60)", "beyond 2**53"),
        ):
            with self.subTest(call):
                outcome = self.run_tools(f"import tools\ntools.{call}")
                self.assertEqual((outcome.error, self.calls(outcome)), ("TypeError", []))
                self.assertIn(words, outcome.last["exception_message"])

    def test_an_argument_that_contains_itself_is_no_json(self) -> None:
        outcome = self.run_tools("import tools\nx = []\nx.append(x)\ntools.echo(x=x)")
        self.assertEqual(outcome.error, "TypeError")

    def test_subclasses_of_json_types_are_sent_as_these(self) -> None:
        code = (
            "import tools, collections, enum\n"
            "class E(enum.IntEnum):\n  A = 1\n"
            "tools.echo(a=collections.OrderedDict(b=E.A), c=(1, 2))"
        )
        self.assertEqual(self.run_tools(code).value, {"a": {"b": 1}, "c": [1, 2]})

    def test_arguments_have_at_most_one_mebibyte(self) -> None:
        code = "import tools\n[len(tools.echo(a=c * n)['a']) for c, n in (('x', 2**20 - 8), ('é', 2**19 - 4))]"
        self.assertEqual(self.run_tools(code).value, [2**20 - 8, 2**19 - 4])
        for text in ("'x' * 2**20", "'é' * 2**19"):
            outcome = self.run_tools(f"tools.echo(a={text})")
            self.assertEqual((outcome.error, self.calls(outcome)), ("ValueError", []))

    def test_a_value_of_eight_mebibytes_comes_back(self) -> None:
        outcome = self.run_tools("import tools\nlen(tools.echo())", lambda _: "x" * (8 << 20))
        self.assertEqual(outcome.value, 8 << 20)

    def test_the_clients_error_is_raised(self) -> None:
        self.session.start(
            "import tools\ntry:\n  tools.echo()\nexcept tools.ToolError as e:\n"
            "  error = [e.type, e.message, e.data, str(e)]\nerror",
            tools=[ECHO],
        )
        call = self.session.wait_for(lambda message: message["type"] == "tool_call")
        failure = {"type": "NotFound", "message": "no page", "data": {"status": 404}}
        self.session.live.send(type="tool_answer", call_id=call["call_id"], status="error", error=failure)
        outcome = Outcome([self.session.wait_for(lambda message: message["type"] == "result")])
        self.assertEqual(outcome.value, ["NotFound", "no page", {"status": 404}, "no page"])

    def test_a_call_that_nobody_answers_in_time_raises(self) -> None:
        self.session.start("import tools\ntools.echo()", tools=[ECHO])
        call = self.session.wait_for(lambda message: message["type"] == "tool_call")
        self.session.live.send(type="tool_answer", call_id=call["call_id"], status="timed_out")
        last = self.session.wait_for(lambda message: message["type"] == "error")
        self.assertEqual(last["exception_type"], "ToolTimeout")

    def test_output_before_a_call_comes_before_it(self) -> None:
        outcome = self.run_tools("import tools\nprint('one', end='')\ntools.echo()\nprint('two')")
        self.assertEqual(outcome.kinds, ["output", "tool_call", "output", "result"])

    def test_a_thousand_calls_and_no_more(self) -> None:
        outcome = self.run_tools("import tools\nsum(tools.echo(n=n)['n'] for n in range(1000))")
        self.assertEqual(outcome.value, 499500)
        outcome = self.run_tools("import tools\nfor _ in range(4): tools.echo()", max_tool_calls=3)
        self.assertEqual((outcome.error, len(self.calls(outcome))), ("ToolError", 3))
        self.assertIn("3 tool calls", outcome.last["exception_message"])


class SideBySide(ToolCase):
    """Many calls that wait at the same time."""

    def test_coroutines(self) -> None:
        code = (
            "import asyncio, tools\n"
            "answers = await asyncio.gather(*(tools.aio.echo(n=n) for n in range(64)))\n"
            "[a['n'] for a in answers]"
        )
        self.session.start(code, tools=[ECHO], max_parallel_tool_calls=64)
        calls = [self.session.live.receive_type("tool_call") for _ in range(64)]
        self.assertEqual(len({call["batch"] for call in calls}), 1)
        for call in reversed(calls):
            self.answer(call, call["arguments"])
        outcome = Outcome([self.session.live.receive()])
        self.assertEqual(outcome.value, list(range(64)))

    def test_no_more_wait_than_may(self) -> None:
        code = "import asyncio, tools\nawait asyncio.gather(*(tools.aio.echo(n=n) for n in range(9)))\n1"
        self.session.start(code, tools=[ECHO], max_parallel_tool_calls=4)
        waiting = [self.session.live.receive_type("tool_call") for _ in range(4)]
        with self.assertRaises(TimeoutError):
            self.session.live.receive(0.2)
        for _ in range(5):
            self.answer(waiting.pop(), 1)
            waiting.append(self.session.live.receive_type("tool_call"))
        for call in waiting:
            self.answer(call, 1)
        self.assertEqual(Outcome([self.session.live.receive()]).value, 1)

    def test_threads(self) -> None:
        code = (
            "import threading, tools\nanswers = {}\n"
            "def ask(n):\n  answers[n] = tools.echo(n=n)['n']\n"
            "threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]\n"
            "for t in threads: t.start()\n"
            "main = tools.echo(n=99)['n']\n"
            "for t in threads: t.join()\n"
            "[main, sorted(answers.values()) == list(range(16))]"
        )
        self.session.start(code, tools=[ECHO], max_parallel_tool_calls=32)
        calls = [self.session.live.receive_type("tool_call") for _ in range(17)]
        self.assertEqual(len({call["batch"] for call in calls}), 17)
        for call in calls[::2] + calls[1::2]:
            self.answer(call, call["arguments"])
        self.assertEqual(Outcome([self.session.live.receive()]).value, [99, True])

    def test_threads_with_loops_and_statements_together(self) -> None:
        code = (
            "import asyncio, threading, tools\nfound = []\n"
            "async def many():\n  found.extend(await asyncio.gather(*(tools.aio.echo(n=n) for n in range(20))))\n"
            "thread = threading.Thread(target=lambda: asyncio.run(many()))\nthread.start()\n"
            "own = [tools.echo(n=n)['n'] for n in range(20)]\nthread.join()\n"
            "[own == list(range(20)), [a['n'] for a in found] == list(range(20))]"
        )
        self.assertEqual(self.run_tools(code).value, [True, True])

    def test_an_input_and_a_call_at_the_same_time(self) -> None:
        code = (
            "import threading, tools\nfound = []\n"
            "thread = threading.Thread(target=lambda: found.append(input('? ')))\nthread.start()\n"
            "found.append(tools.echo(a=1))\nthread.join()\nlen(found)"
        )
        self.session.start(code, tools=[ECHO])
        messages = {message["type"]: message for message in (self.session.live.receive() for _ in range(2))}
        self.session.live.send(type="input_response", input_id=messages["input"]["input_id"], value="Ada")
        self.answer(messages["tool_call"], 1)
        self.assertEqual(Outcome([self.session.live.receive()]).value, 2)


class Ending(ToolCase):
    """Waits that end without an answer."""

    def test_an_interrupt_ends_the_wait_and_says_so(self) -> None:
        self.session.start("import tools\ntools.echo()", tools=[ECHO])
        call = self.session.wait_for(lambda message: message["type"] == "tool_call")
        self.session.signal(signal.SIGINT)
        cancel, last = self.session.live.receive(), self.session.live.receive()
        self.assertEqual((cancel["type"], cancel["call_id"]), ("tool_cancel", call["call_id"]))
        self.assertEqual(last["exception_type"], "KeyboardInterrupt")
        self.answer(call, "too late")
        self.assert_alive()

    def test_an_interrupt_ends_coroutines(self) -> None:
        code = "import asyncio, tools\nawait asyncio.gather(tools.aio.echo(), tools.aio.echo())"
        self.session.start(code, tools=[ECHO])
        for _ in range(2):
            self.session.live.receive_type("tool_call")
        self.session.signal(signal.SIGINT)
        self.session.live.receive_type("tool_cancel")
        self.session.live.receive_type("tool_cancel")
        self.assertEqual(self.session.live.receive()["exception_type"], "KeyboardInterrupt")
        self.assert_alive()

    def test_a_coroutine_that_is_cancelled_says_so(self) -> None:
        code = (
            "import asyncio, tools\ntry:\n  await asyncio.wait_for(tools.aio.echo(), 0.05)\n"
            "except TimeoutError:\n  answer = 'late'\nanswer"
        )
        self.session.start(code, tools=[ECHO])
        call = self.session.live.receive_type("tool_call")
        self.assertEqual(self.session.live.receive_type("tool_cancel")["call_id"], call["call_id"])
        self.assertEqual(Outcome([self.session.live.receive()]).value, "late")

    def test_threads_stop_waiting_when_the_execution_ends(self) -> None:
        code = (
            "import threading, tools\nfound = []\n"
            "def ask():\n  try:\n    tools.echo()\n  except tools.ToolCancelled as e:\n    found.append(str(e))\n"
            "threads = [threading.Thread(target=ask) for _ in range(3)]\nfor t in threads: t.start()\n"
            "input()"
        )
        execution_id = self.session.start(code, tools=[ECHO])
        waiting = [self.session.live.receive_type("tool_call", "input") for _ in range(4)]
        asked = next(message for message in waiting if message["type"] == "input")
        self.session.live.send(type="input_response", input_id=asked["input_id"], value="")
        self.session.finish(execution_id)
        self.assertEqual(
            self.run_code("for t in threads: t.join()\nfound").value, ["the call of echo was cancelled"] * 3
        )

    def test_a_coroutine_of_an_execution_that_ended_is_cancelled(self) -> None:
        code = "import asyncio, tools\ntask = asyncio.ensure_future(tools.aio.echo())\nawait asyncio.sleep(0)"
        self.session.start(code, tools=[ECHO])
        self.session.wait_for(lambda message: message["type"] == "result")
        outcome = self.run_code("try:\n  await task\nexcept tools.ToolCancelled:\n  x = 'cancelled'\nx")
        self.assertEqual(outcome.value, "cancelled")

    def test_a_snapshot_revived_calls_tools(self) -> None:
        self.run_tools("import asyncio, tools\nawait tools.aio.echo()\ntools.echo()")
        snapshot, _ = self.session.freeze()
        self.session.restore(snapshot)
        outcome = self.run_tools("[await tools.aio.echo(a=1), tools.echo(a=2)]")
        self.assertEqual(outcome.value, [{"a": 1}, {"a": 2}])

    def test_a_process_that_user_code_forked_has_no_tools(self) -> None:
        code = (
            "import os, tools\necho = tools.echo\nr, w = os.pipe()\n"
            "if os.fork() == 0:\n"
            "  try:\n    echo()\n  except tools.ToolError as e:\n    os.write(w, str(e).encode())\n  os._exit(0)\n"
            "os.wait()\n[os.read(r, 100).decode(), tools.echo(a=1)]"
        )
        self.assertEqual(self.run_tools(code).value, ["there is no tool echo", {"a": 1}])


class Seeing(ToolCase):
    """What user code can find out about tools, and their names."""

    def test_lists_and_describes(self) -> None:
        outcome = self.run_tools("import tools\n[tools.list(), tools.describe('search'), 'search' in dir(tools)]")
        about = {key: value for key, value in SEARCH.items() if key != "inject"}
        self.assertEqual(outcome.value, [["search", "echo"], about, True])

    def test_help_and_signature_come_from_the_schema(self) -> None:
        outcome = self.run_tools("import tools, inspect\nhelp(tools.search)\nstr(inspect.signature(tools.aio.search))")
        self.assertIn("search(query: str, limit: int = None) -> list", outcome.text())
        self.assertIn("Finds pages.", outcome.text())
        self.assertIn("query: What to find.", outcome.text())
        self.assertEqual(outcome.value, "(query: str, limit: int = None) -> list")

    def test_a_tool_of_an_execution_is_gone_in_the_next(self) -> None:
        self.run_tools("import tools")
        outcome = self.run_tools("tools.search", tools=[ECHO])
        self.assertEqual(outcome.error, "AttributeError")
        outcome = self.run_code("tools.list()")
        self.assertEqual(outcome.value, [])

    def test_injected_names_are_bound_and_taken_back(self) -> None:
        injected = [tool("echo", inject=True)]
        self.assertEqual(self.run_tools("echo(a=1)", tools=injected).value, {"a": 1})
        self.assertEqual(self.run_tools("echo = 5\necho", tools=injected).value, 5)
        self.assertEqual(self.run_tools("echo", tools=injected).value, 5)
        self.assertEqual(self.run_tools("del echo", tools=injected).error, "")
        self.assertEqual(self.run_tools("echo(a=2)", tools=injected).value, {"a": 2})
        self.assertEqual(self.run_code("echo").error, "NameError")

    def test_a_module_of_the_session_comes_first_where_there_are_no_tools(self) -> None:
        self.run_code("open('tools.py', 'w').write('mine = 1')")
        self.assertEqual(self.run_code("import tools\ntools.mine").value, 1)
        self.session.restart()
        self.assertEqual(self.run_tools("import tools\ntools.echo(a=1)").value, {"a": 1})
        self.run_code("import os\nos.remove('tools.py')")

    def test_a_checkpoint_holds_tools_by_name(self) -> None:
        self.run_tools("import tools\nfind = tools.search\nfind_later = tools.aio.search\nx = 1")
        snapshot, _ = self.session.freeze()
        blob = self.session.checkpoint(snapshot)
        self.assertEqual(blob.skipped(), {})
        self.session.restart()
        loaded = self.session.load(blob.content)
        self.assertEqual(loaded["missing"], [])
        self.assertEqual(
            self.run_tools("[find(query='x'), await find_later('y'), x]").value, [{"query": "x"}, {"query": "y"}, 1]
        )

    def test_plain_executions_import_nothing(self) -> None:
        outcome = self.run_code("import sys\n[name for name in ('tools', 'asyncio') if name in sys.modules]")
        self.assertEqual(outcome.value, [])

    def test_an_answer_after_the_end_disturbs_nothing(self) -> None:
        self.session.live.send(type="tool_answer", call_id="x", status="ok", value=1)
        self.assert_alive()


if __name__ == "__main__":
    unittest.main()
