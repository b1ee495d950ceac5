"""Snapshots: what comes back, what does not, and that neither side disturbs the other."""

from __future__ import annotations

import os
import time
import unittest

from channel_driver import Ended
from session_case import SessionCase


class Snapshots(SessionCase):
    def test_bring_back_the_state_any_number_of_times(self) -> None:
        self.run_code(
            "x = [1]; y = x; g = (i for i in range(9)); next(g)\ndef c():\n    n = 0\n    def inc():\n        nonlocal n; n += 1; return n\n    return inc\ninc = c(); inc()"
        )
        snapshot, report = self.session.snapshot()
        self.assertEqual(report["pid"], snapshot.pid)
        self.assertEqual(report["threads"], [])
        for _ in range(5):
            self.assertEqual(self.run_code("x.append(2); [y, next(g), inc()]").value, [[1, 2], 1, 2])
            self.session.restore(snapshot)

    def test_keep_the_random_state(self) -> None:
        self.run_code("import random; random.seed(7); random.gauss(0, 1)")
        snapshot, _ = self.session.snapshot()
        first = self.run_code("[random.random(), random.gauss(0, 1)]").value
        self.session.restore(snapshot)
        self.assertEqual(self.run_code("[random.random(), random.gauss(0, 1)]").value, first)

    def test_fresh_interpreters_do_not_share_random_numbers(self) -> None:
        first = self.run_code("import random; random.random()").value
        self.session.restart()
        self.assertNotEqual(self.run_code("import random; random.random()").value, first)

    def test_can_be_nested_and_restored_out_of_order(self) -> None:
        peers = []
        for number in range(5):
            self.run_code(f"n = {number}")
            peers.append(self.session.snapshot()[0])
        for number in (3, 0, 4, 1, 2, 2):
            self.session.restore(peers[number], keep=peers)
            self.assertEqual(self.run_code("n").value, number)

    def test_survive_a_hundred_restores(self) -> None:
        self.run_code("n = 0")
        depth = self.run_code("import sys\nlen(__import__('inspect').stack(0))").value
        for _ in range(100):
            self.run_code("n += 1")
            snapshot, _ = self.session.snapshot()
            self.run_code("n = -1")
            self.session.restore(snapshot)
            snapshot.close()
        self.assertEqual(self.run_code("n").value, 100)
        self.assertEqual(self.run_code("len(__import__('inspect').stack(0))").value, depth)
        self.assertLess(self.run_code("import os; len(os.listdir('/proc/self/fd'))").value, 16)

    def test_by_the_hundred_leave_the_live_process_known(self) -> None:
        for _ in range(150):
            snapshot, _ = self.session.snapshot()
            snapshot.close()
        self.assertTrue(self.session.signal(0))
        kept = [self.session.snapshot()[0] for _ in range(70)]
        for _ in range(3):
            self.session.restore(kept[-1], keep=kept)
            self.assertTrue(self.session.signal(0))
        for snapshot in kept:
            snapshot.close()

    def test_end_with_their_connection(self) -> None:
        snapshot, _ = self.session.snapshot()
        snapshot.close()
        end = time.monotonic() + 5
        while os.path.exists(f"/proc/{snapshot.pid}/fd") and time.monotonic() < end:
            try:
                with open(f"/proc/{snapshot.pid}/stat") as stat:
                    if stat.read().split()[2] == "Z":
                        break
            except OSError:
                break
        self.assertLess(time.monotonic(), end)
        self.assert_alive()

    def test_end_on_order(self) -> None:
        snapshot, _ = self.session.snapshot()
        snapshot.send(type="exit")
        with self.assertRaises(Ended):
            snapshot.receive(2)
        self.assert_alive()

    def test_are_hidden_from_waiting_user_code(self) -> None:
        snapshot, _ = self.session.snapshot()
        self.run_code("import os, subprocess")
        for code in (
            "os.wait()",
            "os.waitpid(-1, 0)",
            "os.wait3(0)",
            "os.wait4(-1, 0)",
            "os.waitid(os.P_ALL, 0, os.WEXITED)",
            f"os.waitpid({snapshot.pid}, os.WNOHANG)",
        ):
            self.assertEqual(self.run_code(code).error, "ChildProcessError", code)
        self.assertEqual(self.run_code("p = os.fork()\nif p == 0: os._exit(3)\nos.wait()[1] >> 8").value, 3)
        snapshot.send(type="exit")
        self.assertEqual(
            self.run_code(
                "p = os.fork()\nif p == 0:\n    import time; time.sleep(0.1); os._exit(4)\nos.wait()[1] >> 8"
            ).value,
            4,
        )
        self.assertEqual(self.run_code("os.wait()").error, "ChildProcessError")
        self.assertEqual(self.run_code("subprocess.run('exit 5', shell=True).returncode").value, 5)

    def test_name_the_threads_that_they_lack(self) -> None:
        self.run_code(
            "import threading, time\nt = threading.Thread(target=time.sleep, args=(30,), name='worker-x', daemon=True); t.start()"
        )
        snapshot, report = self.session.snapshot()
        self.assertEqual(report["threads"], ["worker-x"])
        self.session.restore(snapshot)
        self.assertEqual(self.run_code("t.is_alive(), threading.active_count()").value, [False, 1])

    def test_are_declined_when_too_large(self) -> None:
        self.session.live.send(type="snapshot", id="s", token="0" * 32, max_resident_bytes=1000)
        declined = self.session.live.receive_type("snapshot_declined")
        self.assertGreater(declined["resident_bytes"], 1000)
        self.assert_alive()

    def test_do_not_share_an_event_loop(self) -> None:
        self.run_code(
            "import asyncio, socket\nseen = []\na, b = socket.socketpair(); a.setblocking(False); b.setblocking(False)\n"
            "loop = asyncio.get_running_loop(); loop.add_reader(a, lambda: seen.append(a.recv(10).decode()))\nawait asyncio.sleep(0)"
        )
        snapshot, _ = self.session.snapshot()
        for _ in range(2):
            self.session.restore(snapshot)
            outcome = self.run_code("b.send(b'x')\nawait asyncio.sleep(0.05)\nseen")
            self.assertEqual(outcome.value, ["x"])
            self.run_code("loop.remove_reader(a); await asyncio.sleep(0)")
            threaded = "import threading\nf = loop.create_future()\nthreading.Timer(0.05, lambda: loop.call_soon_threadsafe(f.set_result, 5)).start()\nawait asyncio.wait_for(f, 5)"
            self.assertEqual(self.run_code(threaded).value, 5)

    def test_keep_tasks_waiting_in_the_loop(self) -> None:
        self.run_code(
            "import asyncio\nlog = []\nasync def job():\n    while True:\n        log.append(len(log)); await asyncio.sleep(0.001)\nt = asyncio.ensure_future(job())\nawait asyncio.sleep(0.005)"
        )
        snapshot, _ = self.session.snapshot()
        count = self.run_code("len(log)").value
        self.session.restore(snapshot)
        self.assertEqual(self.run_code("len(log)").value, count)
        self.run_code("await asyncio.sleep(0.02)")
        self.assertGreater(self.run_code("len(log)").value, count)

    def test_leave_the_frozen_selector_alone(self) -> None:
        self.run_code(
            "import selectors, socket\ns = selectors.DefaultSelector()\na, b = socket.socketpair()\nk = s.register(a, selectors.EVENT_READ, 'a')"
        )
        snapshot, _ = self.session.snapshot()
        self.session.restore(snapshot)
        self.run_code("s.unregister(a)")
        self.session.restore(snapshot)
        self.assertEqual(self.run_code("b.send(b'x'); [k.data for k, e in s.select(1)]").value, ["a"])

    def test_give_output_from_the_beginning(self) -> None:
        self.run_code("print('x' * 100)")
        snapshot, _ = self.session.snapshot()
        self.session.restore(snapshot)
        self.assertEqual(self.run_code("print('y')").events[0]["offset"], 0)

    def test_answer_questions_after_a_restore(self) -> None:
        snapshot, _ = self.session.snapshot()
        self.session.restore(snapshot)
        self.assertEqual(self.run_code("input('q')", "a").value, "a")
        execution_id = self.session.start("while True: pass")
        time.sleep(0.1)
        self.session.signal(2)
        self.assertEqual(self.session.finish(execution_id).last["reason"], "interrupted")


class Recovery(SessionCase):
    def test_after_every_kind_of_death(self) -> None:
        self.run_code("state = {'n': 1}; alias = state")
        deaths = (
            "import os; os._exit(1)",
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "import ctypes; ctypes.string_at(0)",
            "import os; os.closerange(0, 65536); print('x'); input()",
            "import os; os.abort()",
            "import signal, time; signal.alarm(1); time.sleep(5)",
            "import ctypes, os; state['n'] = 2; ctypes.CDLL(None).exit(0)",
        )
        for code in deaths:
            snapshot, _ = self.session.snapshot()
            said = self.assert_dies(code)
            self.assertEqual(said[-1]["pid"], self.session.live.pid)
            self.session.restore(snapshot)
            snapshot.close()
            self.assertEqual(self.run_code("state['n'], alias is state").value, [1, True], code)


if __name__ == "__main__":
    unittest.main()
