"""The rehearsal after a snapshot: the next execution causes few page faults, and user code notices nothing of it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import unittest
from typing import TextIO

from channel_driver import Copy, Peer
from needs import needs_command
from session_case import SessionCase

PAUSE_SECONDS = 0.05
DEADLINE_SECONDS = 20
MAX_FAULTS = 20
MAX_CALLS = 15
ROUNDS = 5


def _stat(pid: int) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="latin-1") as stat:
        return stat.read().rpartition(")")[2].split()


def _faults(*pids: int) -> int:
    return sum(int(_stat(pid)[7]) for pid in pids)


def _wait_until_idle(*pids: int) -> None:
    """Wait until the processes have slept for a while: on a busy machine, a rehearsal takes as long as it takes."""
    end = time.monotonic() + DEADLINE_SECONDS
    before = -1
    while True:
        time.sleep(PAUSE_SECONDS)
        count = _faults(*pids)
        if count == before and all(_stat(pid)[0] == "S" for pid in pids):
            return
        before = count
        if time.monotonic() > end:
            raise TimeoutError("the processes do not come to rest")


class PageFaults(SessionCase):
    def _faults_of(self, code: str) -> int:
        """The fewest page faults that `code` caused, in all processes, each time after a snapshot and a pause."""
        counts: list[int] = []
        self.run_code(code)
        last: Copy | None = None
        for _ in range(ROUNDS):
            last, _ = self.session.freeze(drop=[last.pid] if last else [])
            pids = (self.session.keeper.pid, self.session.live.pid, last.pid)
            _wait_until_idle(*pids)
            before = _faults(*pids)
            self.run_code(code)
            counts.append(_faults(*pids) - before)
        return min(counts)

    def test_of_an_execution_after_a_pause_are_few(self) -> None:
        for code in ("v = 1\nv", "print('hello')", "sum(n * n for n in range(10))"):
            with self.subTest(code=code):
                self.assertLessEqual(self._faults_of(code), MAX_FAULTS)

    def test_of_an_execution_in_a_restored_process_are_few(self) -> None:
        copy, _ = self.session.snapshot()
        self.session.restore(copy)
        self.assertLessEqual(self._faults_of("v = 1\nv"), MAX_FAULTS)


@needs_command("strace")
class SystemCalls(SessionCase):
    def test_of_an_execution_are_few(self) -> None:
        self.run_code("v = 1\nv")
        copy, _ = self.session.freeze()
        pids = (self.session.keeper.pid, self.session.live.pid, copy.pid)
        _wait_until_idle(*pids)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "trace")
            attach = [argument for pid in pids for argument in ("-p", str(pid))]
            with subprocess.Popen(["strace", "-f", "-q", "-o", path, *attach], stderr=subprocess.PIPE) as tracer:
                try:
                    if not self._is_traced(*pids):
                        self.skipTest("this machine does not allow tracing")
                    with open(path, encoding="latin-1") as trace:
                        # A thread of this process that a busy machine stops for long adds calls: the fewest of some rounds.
                        calls = min((self._calls_of("v = 1\nv", trace) for _ in range(ROUNDS)), key=len)
                finally:
                    tracer.terminate()
        self.assertGreaterEqual(len(calls), 3)
        self.assertLessEqual(len(calls), MAX_CALLS, calls)

    def _calls_of(self, code: str, trace: TextIO) -> list[str]:
        self._read_whole(trace, 0)
        self.run_code(code)
        return self._read_whole(trace, 3)

    @staticmethod
    def _read_whole(trace: TextIO, at_least: int) -> list[str]:
        """Read lines until there are enough of them and strace has written no more for a while."""
        end = time.monotonic() + DEADLINE_SECONDS
        lines: list[str] = []
        while True:
            time.sleep(PAUSE_SECONDS)
            more = trace.read().splitlines()
            lines += more
            if not more and (len(lines) >= at_least or time.monotonic() > end):
                return lines

    @staticmethod
    def _is_traced(*pids: int) -> bool:
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            states: list[bool] = []
            for pid in pids:
                with open(f"/proc/{pid}/status", encoding="latin-1") as status:
                    states.append("TracerPid:\t0\n" not in status.read())
            if all(states):
                return True
            time.sleep(0.02)
        return False


class Rehearsals(SessionCase):
    def _snapshot_and_pause(self) -> None:
        self.session.freeze()
        _wait_until_idle(self.session.live.pid)

    def test_are_reported_with_the_next_snapshot(self) -> None:
        self._snapshot_and_pause()
        _, report = self.session.freeze()
        self.assertGreater(report["rehearsal"], 0)

    def test_do_not_happen_while_a_request_waits(self) -> None:
        live: Peer = self.session.live
        live.send_together(
            {"type": "snapshot", "id": "a", "token": "a" * 32},
            {"type": "execute", "execution_id": "b", "code": "6 * 7"},
        )
        live.receive_type("snapshot_taken")
        self.assertEqual(self.session.finish("b").value, 42)
        _, report = self.session.freeze()
        self.assertEqual(report["rehearsal"], 0)

    def test_leave_names_descriptors_and_counters_as_they_were(self) -> None:
        look = (
            "import os, gc, sys\n(sorted(globals()), len(os.listdir('/proc/self/fd')), gc.isenabled(), sys.gettrace())"
        )
        self.run_code(look)
        before = self.run_code(look).repr
        self._snapshot_and_pause()
        self.assertEqual(self.run_code(look).repr, before)
        self.run_code("'kept'")
        self._snapshot_and_pause()
        self.assertEqual(self.run_code("_").value, "kept")

    def test_run_no_finalizer_and_no_callback_of_user_code(self) -> None:
        self.run_code(
            "import gc\nseen = []\ngc.callbacks.append(lambda phase, info: seen.append(phase))\ngc.set_threshold(1)\nseen.clear()"
        )
        before = self.run_code("seen.clear()\nlen(seen)").value
        self._snapshot_and_pause()
        self.session.live.send(type="execute", execution_id="x", code="first = len(seen)")
        self.session.finish("x")
        self.assertEqual(before, 0)
        # A collection in the rehearsal would have come before the ones that this execution itself causes.
        self.run_code("gc.set_threshold(0); gc.callbacks.clear(); seen.clear()\ngc.callbacks.append(seen.append)")
        self._snapshot_and_pause()
        self.assertEqual(self.run_code("seen").value, [])

    def test_lose_nothing_that_threads_print_meanwhile(self) -> None:
        self.run_code(
            "import threading, time\ngoing = True\ncount = 0\ndef work():\n    global count\n    while going:\n"
            "        print(f'<{count}>')\n        count += 1\n        time.sleep(0.0005)\n"
            "thread = threading.Thread(target=work)\nthread.start()"
        )
        for _ in range(5):
            self.session.freeze()
            time.sleep(PAUSE_SECONDS)
        outcome = self.run_code("going = False\nthread.join()\ncount")
        lines = outcome.text().split("\n")
        self.assertEqual(lines[-2], f"<{outcome.value - 1}>")
        numbers = [int(line[1:-1]) for line in lines if line]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))

    def test_survive_exhausted_descriptors_and_a_low_recursion_limit(self) -> None:
        self.run_code(
            "import os, resource, sys\nsys.setrecursionlimit(60)\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 1024))\n"
            "held = []\ntry:\n    while True: held.append(os.dup(0))\nexcept OSError: pass"
        )
        self._snapshot_and_pause()
        self.assertGreater(self.run_code("len(held)").value, 10)
        self.assert_alive()

    def test_stay_unseen_by_patched_builtins_and_trace_functions(self) -> None:
        self.run_code(
            "import builtins, sys\ncalls = []\nreal = builtins.compile\n"
            "def watch(*a, **k):\n    calls.append(1)\n    return real(*a, **k)\nbuiltins.compile = watch\n"
            "sys.setprofile(lambda *a: calls.append(2) if going else None)\ngoing = False"
        )
        self.run_code("calls.clear(); going = True")
        self.run_code("sys.setprofile(None); calls.clear()")
        self._snapshot_and_pause()
        self.assertEqual(self.run_code("calls").value, [])


if __name__ == "__main__":
    unittest.main()
