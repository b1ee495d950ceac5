"""Snapshots: what comes back, what does not, and that neither side disturbs the other."""

from __future__ import annotations

import os
import time
import unittest

from channel_driver import DEADLINE_SECONDS, Ended
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
            self.session.drop(snapshot)
        self.assertEqual(self.run_code("n").value, 100)
        self.assertEqual(self.run_code("len(__import__('inspect').stack(0))").value, depth)
        self.assertLess(self.run_code("import os; len(os.listdir('/proc/self/fd'))").value, 16)

    def test_by_the_hundred_leave_the_live_process_known(self) -> None:
        for _ in range(150):
            snapshot, _ = self.session.snapshot()
            self.session.drop(snapshot)
        self.assertTrue(self.session.signal(0))
        kept = [self.session.freeze()[0] for _ in range(70)]
        for _ in range(3):
            self.session.restore(kept[0], keep=kept)
            self.assertTrue(self.session.signal(0))
        for snapshot in kept:
            self.session.end(snapshot.pid)

    def test_end_with_their_connection_once_they_had_an_order(self) -> None:
        snapshot, _ = self.session.snapshot()
        self.session.checkpoint(snapshot)
        snapshot.close()
        end = time.monotonic() + DEADLINE_SECONDS
        while is_running(snapshot.pid):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        self.assert_alive()

    def test_end_on_order(self) -> None:
        snapshot, _ = self.session.snapshot()
        peer = self.session.wake(snapshot)
        peer.send(type="exit")
        with self.assertRaises(Ended):
            peer.receive()
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
        self.session.wake(snapshot).send(type="exit")
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
            threaded = "import threading\nf = loop.create_future()\nthreading.Timer(0.05, lambda: loop.call_soon_threadsafe(f.set_result, 5)).start()\nawait asyncio.wait_for(f, 20)"
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
        execution_id = self.session.begin("while True: pass")
        self.session.signal(2)
        self.assertEqual(self.session.finish(execution_id).last["reason"], "interrupted")


class Asleep(SessionCase):
    """What a copy is before anybody needs it."""

    def reaped(self) -> list[int]:
        """Ask the live process which copies have ended."""
        self.session.live.send(type="reap", id=self.session.next_id())
        pids: list[int] = self.session.live.receive_type("reaped")["pids"]
        return pids

    def wait_until_gone(self, pid: int) -> None:
        """Wait until the live process has heard of a copy's end."""
        end = time.monotonic() + DEADLINE_SECONDS
        while pid not in self.reaped():
            self.assertLess(time.monotonic(), end)

    def test_has_no_connection_of_its_own_or_of_the_live_process(self) -> None:
        copy, _ = self.session.freeze()
        self.assertEqual(self.session.waiting, {})
        self.session.start("import os; os._exit(1)")
        with self.assertRaises(Ended):
            while True:
                self.session.live.receive()
        self.session.restore(copy)
        self.assert_alive()

    def test_ends_when_it_is_dropped_by_itself_or_with_the_next_one(self) -> None:
        first, _ = self.session.freeze()
        for pid in (first.pid, 1, 0, -1, "x", None):
            self.session.end(pid)
        self.wait_until_gone(first.pid)
        second, _ = self.session.freeze()
        third, _ = self.session.freeze(drop=[second.pid, 1, 0, -1, "x", None, self.session.live.pid])
        end = time.monotonic() + DEADLINE_SECONDS
        while is_running(second.pid):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        self.session.restore(third)
        self.assert_alive()

    def test_that_was_killed_is_reported_and_cannot_be_woken(self) -> None:
        copy, _ = self.session.freeze()
        self.assertEqual(self.reaped(), [])
        self.run_code(f"import os; os.kill({copy.pid}, 9)")
        self.wait_until_gone(copy.pid)
        with self.assertRaises(Ended):
            self.session.wake(copy)
        self.assert_alive()

    def test_that_ended_is_told_of_once_whoever_has_waited_for_it(self) -> None:
        first, _ = self.session.freeze()
        self.run_code(f"import os; os.kill({first.pid}, 9)\ntry: os.wait()\nexcept ChildProcessError: pass")
        end = time.monotonic() + DEADLINE_SECONDS
        while is_running(first.pid):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        _, report = self.session.freeze()
        self.assertEqual(report["ended"], [first.pid])
        self.assertEqual(self.reaped(), [])

    def test_goes_back_to_sleep_where_nobody_expects_it(self) -> None:
        self.run_code("x = 1")
        copy, _ = self.session.freeze()
        self.run_code(f"import os, signal; os.kill({copy.pid}, signal.SIGUSR1)")
        stranger, _ = self.session.listener.accept()
        stranger.close()
        time.sleep(0.1)
        self.session.restore(copy)
        self.assertEqual(self.run_code("x").value, 1)

    def test_takes_no_notice_of_other_signals(self) -> None:
        self.run_code("import os, signal; hits = []; signal.signal(signal.SIGTERM, lambda s, f: hits.append(s))")
        copy, _ = self.session.freeze()
        self.run_code(
            f"for s in (1, 2, 3, 6, 11, 13, 14, 15, 17, 34, 64): os.kill({copy.pid}, s)\nsignal.pthread_sigmask(0, [10])"
        )
        self.session.restore(copy)
        self.assertEqual(self.run_code("hits, list(map(int, signal.pthread_sigmask(0, [])))").value[1], [])
        execution_id = self.session.begin("while True: pass")
        self.session.signal(2)
        self.assertEqual(self.session.finish(execution_id).last["reason"], "interrupted")

    def test_keeps_the_mask_that_user_code_has_set(self) -> None:
        self.run_code("import signal; _ = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])")
        copy, _ = self.session.freeze()
        for _ in range(2):
            self.session.restore(copy)
            self.assertEqual(self.run_code("list(map(int, signal.pthread_sigmask(0, [])))").value, [1])

    def test_ends_with_the_keeper(self) -> None:
        copy, _ = self.session.freeze()
        self.session.restore(copy)
        kept, _ = self.session.freeze()
        os.kill(self.session.process.pid, 9)
        end = time.monotonic() + DEADLINE_SECONDS
        for pid in (copy.pid, kept.pid, self.session.live.pid):
            while os.path.exists(f"/proc/{pid}/fd") and is_running(pid):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Say whether a process does anything still."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Recovery(SessionCase):
    def test_after_every_kind_of_death(self) -> None:
        self.run_code("state = {'n': 1}; alias = state")
        deaths = (
            "import os; os._exit(1)",
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "import ctypes; ctypes.string_at(0)",
            "import os; os.closerange(0, 65536); print('x'); input()",
            "import os; os.abort()",
            "import signal, time; signal.alarm(1); time.sleep(60)",
            "import ctypes, os; state['n'] = 2; ctypes.CDLL(None).exit(0)",
        )
        for code in deaths:
            snapshot, _ = self.session.snapshot()
            said = self.assert_dies(code)
            self.assertEqual(said[-1]["pid"], self.session.live.pid)
            self.session.restore(snapshot)
            self.session.drop(snapshot)
            self.assertEqual(self.run_code("state['n'], alias is state").value, [1, True], code)


if __name__ == "__main__":
    unittest.main()
