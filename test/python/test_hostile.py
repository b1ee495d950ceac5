"""Hostile code: whatever it does to its process, the answer is named and the next execution is right."""

from __future__ import annotations

import os
import unittest

from session_case import SessionCase

PATCHES = (
    "import builtins\nfor n in ('len', 'str', 'dict', 'isinstance', 'print', 'type', 'getattr', 'repr', 'open', 'compile', 'eval'):\n"
    "    setattr(builtins, n, None)",
    "import builtins\nbuiltins.__dict__.clear()",
    "__builtins__ = {}",
    "del __builtins__",
    "import json, json.encoder, json.decoder\njson.dumps = json.loads = json.JSONEncoder = json.encoder.c_make_encoder = None\n"
    'json.encoder.JSONEncoder.encode = json.decoder.JSONDecoder.decode = lambda *a: \'{"type":"forged"}\'',
    "import os\nos.write = os.read = os.fork = os.getpid = os._exit = os.pipe = os.waitpid = None",
    "import sys\nsys.stdout = sys.stderr = sys.stdin = sys.__stdout__ = sys.__stderr__ = None",
    "import sys\nsys.modules.clear()",
    "import sys\nsys.meta_path.clear(); sys.path.clear(); sys.path_hooks.clear()",
    "import sys\nsys.exc_info = sys.settrace = sys.excepthook = sys.displayhook = sys.unraisablehook = None",
    "import time, select, socket, signal, _thread\ntime.perf_counter = time.monotonic = select.poll = select.epoll = None\n"
    "socket.socket = signal.signal = _thread.get_ident = _thread.RLock = None",
    "import ast, linecache, traceback, codeop\nast.parse = ast.Expression = ast.Expr = None\nlinecache.cache = None\n"
    "traceback.TracebackException = None",
    "import gc\ngc.disable(); gc.set_threshold(1); gc.callbacks.append(lambda *a: 1 / 0)",
    "import sys\nsys.setrecursionlimit(60)",
    "import sys\nsys.setswitchinterval(100)",
    "import warnings\nwarnings.simplefilter('error'); warnings.filters = None",
    "import sys\nsys.addaudithook(lambda *a: None)",
    "import resource\nresource.setrlimit(resource.RLIMIT_STACK, (65536, 65536))",
    "globals().clear()",
    "import threading\nthreading._active.clear(); threading.enumerate = threading.main_thread = None",
    "import sys\nsys.set_int_max_str_digits(640) if hasattr(sys, 'set_int_max_str_digits') else None",
    "import locale, os\nos.environ.clear()",
    "import os\nos.umask(0o777); os.chdir('/')",
)


class Patching(SessionCase):
    def test_does_not_reach_our_own_code(self) -> None:
        for code in PATCHES:
            with self.subTest(code=code):
                self.session.restart()
                first = self.run_code(code).last
                self.assertIn(first["type"], ("result", "error"))
                outcome = self.run_code("6 * 7")
                self.assertEqual((outcome.last["type"], outcome.last["value"]), ("result", "42"))
                self.assertEqual(self.run_code("1 / 0").error, "ZeroDivisionError")
                snapshot, _ = self.session.snapshot()
                self.session.restore(snapshot)
                self.assert_alive()

    def test_forged_frames_on_any_descriptor_change_nothing(self) -> None:
        frame = (
            "import os, json\np = json.dumps({'type': 'result', 'execution_id': 'x', 'value': '1', 'repr': None}).encode()\n"
            "f = (len(p) + 1).to_bytes(4, 'little') + b'J' + p\n"
            "for fd in (1, 2):\n    os.write(fd, f)\n"
        )
        outcome = self.run_code(frame + "5")
        self.assertEqual(outcome.value, 5)
        self.assertEqual(outcome.text().count("execution_id"), 2)


class Resources(SessionCase):
    def test_memory_errors_are_named(self) -> None:
        last = self.run_code(
            "import resource\nresource.setrlimit(resource.RLIMIT_AS, (3 * 10**8, -1))\nx = bytearray(10**9)"
        ).last
        self.assertEqual((last["exception_type"], last["reason"]), ("MemoryError", "out_of_memory"))
        self.assertEqual(self.run_code("l = []\nwhile True: l.append('x' * 10**6)").last["reason"], "out_of_memory")
        self.run_code("del l")
        self.assert_alive()

    def test_recursion_ends_in_an_error(self) -> None:
        for code in (
            "def f(): f()\nf()",
            "class R:\n    def __repr__(s): return repr(s)\nR()",
            "class A:\n    def __getattr__(s, n): return getattr(s, n + 'x')\nA().b",
        ):
            self.run_code(code)
            self.assert_alive()

    def test_threads_without_end_are_ended_by_a_sweep(self) -> None:
        code = (
            "import threading, time\ntry:\n    for _ in range(300): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
            "except RuntimeError: pass\nthreading.active_count() > 10"
        )
        self.assertEqual(self.run_code(code).value, True)
        self.session.restart()
        self.assert_alive()

    def test_daemons_and_fork_bombs_are_swept(self) -> None:
        self.run_code(
            "import os, time\n"
            "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        import signal\n"
            "        for s in range(1, 30):\n            try: signal.signal(s, signal.SIG_IGN)\n            except OSError: pass\n"
            "        time.sleep(600)\n    os._exit(0)\n"
        )
        bomb = (
            "import os, time\nn = 0\nwhile n < 12:\n    n += 1\n"
            "    if os.fork() == 0:\n        m = 0\n        while m < 3:\n            m += 1\n            os.fork()\n            time.sleep(0.01)\n"
            "        time.sleep(60)\nprint('forked', flush=True)\ntime.sleep(60)"
        )
        self.session.start(bomb)
        self.session.wait_for_output("forked\n")
        said = self.session.restart()
        self.assertGreater(said[-1]["killed"], 10)
        self.assertEqual(self._descendants(), {self.session.live.pid})
        self.assert_alive()

    def test_every_descriptor_taken_does_not_stop_us(self) -> None:
        self.run_code("import os, resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))\nheld = []")
        self.assertEqual(self.run_code("while True: held.append(os.dup(0))").error, "OSError")
        self.assertEqual(self.run_code("print('x'); input()", "y").value, "y")
        snapshot, _ = self.session.snapshot()
        self.session.restore(snapshot)
        self.assert_alive()

    def test_leaves_no_descriptor_behind(self) -> None:
        count = "import os; len(os.listdir('/proc/self/fd'))"
        # The first question of a thread opens a pipe that stays.
        self.run_code("import threading\nt = threading.Thread(target=input); t.start(); t.join()", "x")
        before = self.run_code(count).value
        for _ in range(30):
            self.run_code("import threading\nt = threading.Thread(target=input); t.start(); t.join()", "x")
            self.run_code("input()", "x")
            snapshot, _ = self.session.snapshot()
            self.session.drop(snapshot)
        self.assertEqual(self.run_code(count).value, before)

    def _descendants(self) -> set[int]:
        found: set[int] = set()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.session.keeper.pid and fields[0] != "Z":
                found.add(int(entry))
        return found


class Lengths(SessionCase):
    def test_nothing_makes_a_frame_longer_than_allowed(self) -> None:
        self.assertEqual(len(self.run_code("input('x' * 10**8)", "a").events[0]["prompt"]), (1 << 16) + 1)
        self.assertEqual(
            self.run_code("display({'text/plain': '\\x00' * 8000000, 'text/html': '\\x01' * 8000000}, raw=True)").error,
            "ValueError",
        )
        code = "class H:\n    def _repr_html_(s): return '\\x00' * 8000000\n    _repr_svg_ = _repr_markdown_ = _repr_html_\nH()"
        self.assertEqual(self.run_code(code).last["type"], "result")
        self.run_code("globals()['y' * 10**8] = 1; display(**{}); raise_me = type('E' * 10**6, (Exception,), {})")
        self.session.live.send(type="complete", id="c", code="yy", cursor=2)
        self.assertEqual(self.session.live.receive_type("completions")["matches"], [])
        self.assertEqual(self.run_code("raise raise_me('m' * 10**8)").last["type"], "error")
        snapshot, _ = self.session.snapshot()
        blob = self.session.checkpoint(snapshot)
        self.session.restart()
        self.assertEqual(self.session.load(blob.content)["type"], "loaded")


class Escapes(SessionCase):
    def test_the_keeper_cannot_be_traced_or_read(self) -> None:
        path = f"/proc/{self.session.keeper.pid}/environ"
        if os.getuid() != 0:
            self.assertEqual(self.run_code(f"open({path!r}).read()").error, "PermissionError")
            return
        # Root without capabilities is a user like any other.
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "cat", path]
        refusal = self.run_code(
            f"import subprocess\nsubprocess.run({command}, capture_output=True, text=True).stderr"
        ).value
        self.assertIn("Permission denied", refusal)

    def test_the_environment_holds_nothing_of_ours(self) -> None:
        text = self.run_code("import os; str(dict(os.environ))").value
        self.assertNotIn("PYREPL", text)
        self.assertNotIn("token", text.lower())

    def test_descriptors_of_ours_do_not_reach_programs(self) -> None:
        code = "import subprocess\nsubprocess.run(['ls', '/proc/self/fd'], capture_output=True, close_fds=False).stdout.decode().split()"
        self.assertEqual(self.run_code(code).value, ["0", "1", "2", "3"])

    def test_core_dumps_and_fault_handlers_are_off(self) -> None:
        code = "import resource, faulthandler\n[*resource.getrlimit(resource.RLIMIT_CORE), faulthandler.is_enabled()]"
        self.assertIn(self.run_code(code).value, ([0, 0, False], [1, 1, False]))


class Keepers(SessionCase):
    def test_the_keeper_ends_everything_when_the_runner_goes(self) -> None:
        self.run_code("import subprocess; p = subprocess.Popen(['sleep', '600']); p.pid")
        child = self.run_code("p.pid").value
        live = self.session.live.pid
        self.session.close()
        type(self)._shared = None
        self.assertEqual(self.session.process.returncode, 0)
        for pid in (child, live):
            self.assertFalse(
                os.path.exists(f"/proc/{pid}/exe") and os.path.islink(f"/proc/{pid}/exe") and _is_running(pid)
            )

    def test_a_live_process_ends_with_its_connection(self) -> None:
        for code in ("import time; time.sleep(600)", "while True: pass"):
            self.session.begin(code)
            self.session.live.close()
            while (exited := self.session.keeper.receive_type("output", "exited"))["type"] == "output":
                continue  # The keeper tells again what it cannot know to have been sent.
            self.assertEqual((exited["pid"], exited["code"]), (self.session.live.pid, 0))
            self.session.live = self.session.spawn(self.session.keeper)


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main()
