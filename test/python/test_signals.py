"""Interrupts: they end what runs, nothing else, and leave the state and the stream intact."""

from __future__ import annotations

import random
import signal
import time
import unittest

from session_case import SessionCase


class Interrupts(SessionCase):
    def interrupt(self, code: str, after: float = 0.15) -> object:
        """Start code, interrupt it, and return how it ended."""
        execution_id = self.session.begin(code)
        time.sleep(after)
        self.assertTrue(self.session.signal(signal.SIGINT))
        return self.session.finish(execution_id).last.get("reason")

    def test_end_loops_sleeps_and_waits(self) -> None:
        codes = (
            "while True: pass",
            "import time; time.sleep(60)",
            "import threading; threading.Event().wait()",
            "import asyncio; await asyncio.sleep(60)",
            "import subprocess; subprocess.run(['sleep', '60'])",
            "import socket; a, b = socket.socketpair(); a.recv(1)",
            "while True: print('x')",
            "class R:\n    def __repr__(s):\n        while True: pass\nR()",
            "class E(Exception):\n    def __str__(s):\n        while True: pass\nraise E",
            "[x for x in iter(int, 1)]",
        )
        for code in codes:
            self.assertEqual(self.interrupt(code), "interrupted", code)
            self.assert_alive()

    def test_end_code_that_does_nothing_but_print(self) -> None:
        """Whenever another thread gets its turn, such code is in the middle of our own work."""
        for _ in range(20):
            code = "import time\nend = time.time() + 60\nwhile time.time() < end: print('spin')"
            execution_id = self.session.start(code)
            self.session.wait_for(lambda message: message["type"] == "output")
            self.session.signal(signal.SIGINT)
            self.assertEqual(self.session.finish(execution_id).last.get("reason"), "interrupted")

    def test_leave_every_line_whole(self) -> None:
        """A handler that raises between the two writes of one print would cut its line end off."""
        for round_number in range(40):
            code = "i = 0\nwhile True:\n    i += 1\n    print('line', i, 'of many')"
            execution_id = self.session.start(code)
            first = self.session.wait_for(lambda message: message["type"] == "output")
            time.sleep(round_number % 7 / 1000)
            self.session.signal(signal.SIGINT)
            text = first["data"] + self.session.finish(execution_id).text()
            self.assertTrue(text.endswith(" of many\n"), repr(text[-40:]))

    def test_can_be_caught(self) -> None:
        code = "import time\ntry:\n    print('begun', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    got = 'caught'\ngot"
        execution_id = self.session.start(code)
        self.session.wait_for_output("begun\n")
        self.session.signal(signal.SIGINT)
        self.assertEqual(self.session.finish(execution_id).value, "caught")

    def test_cancel_a_coroutine_and_let_it_clean_up(self) -> None:
        self.run_code("import asyncio")
        code = "import asyncio\nasync def f():\n    try:\n        print('begun', flush=True)\n        await asyncio.sleep(60)\n    finally:\n        print('cleaned')\nawait f()"
        execution_id = self.session.start(code)
        self.session.wait_for_output("begun\n")
        time.sleep(0.05)
        self.session.signal(signal.SIGINT)
        outcome = self.session.finish(execution_id)
        self.assertEqual((outcome.last["reason"], outcome.text()), ("interrupted", "cleaned\n"))
        self.assertEqual(self.run_code("await asyncio.sleep(0, 'fine')").value, "fine")

    def test_are_ignored_at_rest(self) -> None:
        for _ in range(20):
            self.assertTrue(self.session.signal(signal.SIGINT))
        self.assert_alive()

    def test_at_random_moments_leave_one_answer_each(self) -> None:
        chance = random.Random(1)
        self.run_code("log = []")
        for number in range(150):
            code = f"for i in range({chance.randrange(1, 3000)}): print(i, end=' ')\nlog.append({number})\n{number}"
            execution_id = self.session.start(code)
            time.sleep(chance.random() * 0.004)
            self.session.signal(signal.SIGINT)
            outcome = self.session.finish(execution_id)
            if outcome.last["type"] == "result":
                self.assertEqual(outcome.value, number)
            else:
                self.assertEqual(outcome.last["reason"], "interrupted", outcome.last)
            text = outcome.text()
            numbers = text.split()
            if numbers:
                whole = numbers[:-1]
                self.assertEqual(whole, [str(i) for i in range(len(whole))])
        self.assert_alive()

    def test_that_came_too_late_do_not_reach_the_next_execution(self) -> None:
        """While a value is made into JSON, in code of ours, a signal has to wait; the execution may end before it is its turn."""
        chance = random.Random(1)
        for _ in range(500):
            execution_id = self.session.start("print('now', flush=True)\n[0] * 10000")
            self.session.wait_for(lambda message: message["type"] == "output")
            time.sleep(0.0005 + chance.random() * 0.002)
            self.session.signal(signal.SIGINT)
            self.session.finish(execution_id)
            self.assertEqual(self.run_code("for i in range(60000): pass\ni").value, 59999)

    def test_leave_no_trace_in_the_output_however_many_come(self) -> None:
        storm = (
            "import os, signal, time\nsignal.signal(signal.SIGINT, lambda s, f: None)\nif (child := os.fork()) == 0:\n"
            "    end = time.monotonic() + 2\n    while time.monotonic() < end: os.kill(os.getppid(), signal.SIGINT); time.sleep(0.00002)\n"
            "    os._exit(0)"
        )
        self.run_code(storm)
        for number in range(2000):
            outcome = self.run_code(f"print({number})")
            self.assertEqual((outcome.text(), outcome.last["type"]), (f"{number}\n", "result"))
        self.run_code("os.waitpid(child, 0)")

    def test_honour_the_users_handler_and_keep_it(self) -> None:
        self.run_code("import signal, time\nhits = []\nold = signal.signal(signal.SIGINT, lambda s, f: hits.append(s))")
        self.assertEqual(self.run_code("old is signal.default_int_handler").value, True)
        execution_id = self.session.begin(
            "t = time.monotonic()\nwhile not hits and time.monotonic() - t < 60: pass\nhits"
        )
        self.session.signal(signal.SIGINT)
        self.assertEqual(self.session.finish(execution_id).value, [2])
        self.assertEqual(self.run_code("signal.getsignal(signal.SIGINT).__name__").value, "<lambda>")
        self.run_code("signal.signal(signal.SIGINT, signal.SIG_IGN)")
        self.assertEqual(self.run_code("signal.getsignal(signal.SIGINT) is signal.SIG_IGN").value, True)

    def test_timers_of_user_code_may_raise_anywhere(self) -> None:
        code = (
            "import signal\nclass Late(Exception): pass\ndef on_alarm(s, f): raise Late\n"
            "signal.signal(signal.SIGALRM, on_alarm)\ncaught = n = 0\nfor _ in range(60):\n    try:\n"
            "        signal.setitimer(signal.ITIMER_REAL, 0.002)\n        while True: print('abcdefgh', n); n += 1\n"
            "    except Late: caught += 1\ncaught, n"
        )
        outcome = self.run_code(code)
        caught, count = outcome.value
        self.assertEqual(caught, 60)
        lines = [line for line in outcome.text().split("\n") if line]
        self.assertGreaterEqual(len(lines), count)
        end = 0
        for event in outcome.events[:-1]:
            self.assertEqual(event["offset"], end)
            end += len(event["data"])

    def test_a_timer_left_over_does_not_disturb_the_rest(self) -> None:
        self.run_code("import signal\nhits = []\nsignal.signal(signal.SIGALRM, lambda s, f: hits.append(1) or 1 / 0)")
        self.run_code("signal.setitimer(signal.ITIMER_REAL, 0.3)")
        time.sleep(0.6)
        self.assertEqual(self.run_code("hits").value, [])
        self.assert_alive()

    def test_asyncio_run_keeps_its_own_handling(self) -> None:
        code = "import asyncio\nasync def main():\n    try: await asyncio.sleep(60)\n    except asyncio.CancelledError: print('cancelled'); raise\nasyncio.run(main())"
        self.run_code("import asyncio")
        execution_id = self.session.begin(code)
        time.sleep(0.2)
        self.session.signal(signal.SIGINT)
        outcome = self.session.finish(execution_id)
        self.assertEqual(outcome.last["reason"], "interrupted")
        self.assert_alive()

    def test_are_refused_for_processes_of_others(self) -> None:
        for pid in (1, self.session.keeper.pid, 0, -1, 10**6, "x", None):
            self.session.keeper.send(type="signal", id="s", pid=pid, signal=9)
            self.assertIs(self.session.keeper.receive_type("signalled")["delivered"], False)
        self.assert_alive()


class Tracing(SessionCase):
    def test_trace_functions_do_not_see_our_frames(self) -> None:
        self.run_code(
            "import sys\nseen = []\ndef tracer(f, e, a):\n    seen.append(f.f_code.co_filename); return tracer\nsys.settrace(tracer)"
        )
        self.run_code("def g(): return 1\ng()")
        names = self.run_code("sys.settrace(None)\n[n for n in set(seen) if 'worker-runner' in n]").value
        self.assertEqual([name for name in names if "output" not in name], [])

    def test_a_trace_function_stays_between_executions(self) -> None:
        self.run_code(
            "import sys\ncalls = []\ndef tracer(f, e, a): calls.append(f.f_code.co_name)\nsys.settrace(tracer)"
        )
        self.run_code("def named(): pass\nnamed()")
        self.assertIn("named", self.run_code("sys.settrace(None)\ncalls").value)

    def test_the_debugger_works_over_input(self) -> None:
        outcome = self.run_code("import pdb\ndef f():\n    x = 5\n    pdb.set_trace()\n    return x\nf()", "p x", "c")
        self.assertEqual(outcome.value, 5)
        self.assertIn("5", outcome.text())


if __name__ == "__main__":
    unittest.main()
