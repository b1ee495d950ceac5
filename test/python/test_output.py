"""Output: every byte, in order, in time, whoever writes it."""

from __future__ import annotations

import time
import unittest
from typing import Any

from channel_driver import Message
from session_case import SessionCase


def check_offsets(test: unittest.TestCase, events: list[Message]) -> int:
    """Check that offsets follow one another without a gap; returns the last end."""
    outputs = [e for e in events if e["type"] == "output"]
    end = outputs[0]["offset"] if outputs else 0
    for event in outputs:
        test.assertEqual(event["offset"], end)
        end += len(event["data"].encode("utf-8", "surrogatepass"))
    return end


class Text(SessionCase):
    def test_keeps_the_order_of_both_streams(self) -> None:
        code = "import sys\nfor i in range(100):\n    print(i)\n    print(i, file=sys.stderr)"
        outcome = self.run_code(code)
        self.assertEqual(outcome.text(), "".join(f"{i}\n{i}\n" for i in range(100)))
        self.assertEqual(outcome.text("stderr"), "".join(f"{i}\n" for i in range(100)))
        check_offsets(self, outcome.events)

    def test_counts_offsets_over_executions(self) -> None:
        end = check_offsets(self, self.run_code("print('één')").events)
        second = self.run_code("print('x')").events
        self.assertEqual(second[0]["offset"], end)

    def test_sends_all_output_before_the_answer(self) -> None:
        for size in (1, 65535, 65536, 65537, 200000, 3 * 10**6):
            outcome = self.run_code(f"import sys\n_ = sys.stdout.write('x' * {size})")
            self.assertEqual(len(outcome.text()), size)
            self.assertEqual(outcome.text().strip("x"), "")
            check_offsets(self, outcome.events)

    def test_cuts_large_text_between_characters(self) -> None:
        for character in ("é", "€", "😀"):
            outcome = self.run_code(f"print('a' + '{character}' * 300000, end='')")
            self.assertEqual(outcome.text(), "a" + character * 300000)
            check_offsets(self, outcome.events)

    def test_carries_lone_surrogates(self) -> None:
        outcome = self.run_code(r"print('a\ud800b'); print('after'); print('c\udcff' * 50000, end='')")
        self.assertEqual(outcome.text(), "a\ud800b\nafter\n" + "c\udcff" * 50000)
        check_offsets(self, outcome.events)

    def test_carries_bytes_that_are_not_utf8(self) -> None:
        code = r"import sys, os; sys.stdout.buffer.write(b'\xff\xfe ok\n'); os.write(1, b'\xc3('); os.write(2, b'\xe2\x82')"
        outcome = self.run_code(code + "; None")
        self.assertEqual(outcome.text("stdout"), "\udcff\udcfe ok\n\udcc3(")
        self.assertEqual(outcome.text("stderr"), "\udce2\udc82")
        check_offsets(self, outcome.events)

    def test_joins_a_character_that_arrives_in_two_writes(self) -> None:
        code = "import os, time\nfor b in '€😀'.encode(): os.write(1, bytes([b])); time.sleep(0.004)"
        self.assertEqual(self.run_code(code).text(), "€😀")

    def test_sends_lines_and_parts_of_lines_while_the_code_runs(self) -> None:
        self.run_code("import os, time")
        for code in (
            "print('x', end=''); time.sleep(600)",
            "print('x', end='')\nwhile True: pass",
            "os.write(1, b'x'); time.sleep(600)",
            "print('x')\ntime.sleep(600)",
        ):
            with self.subTest(code=code):
                self.session.start(code)
                self.session.wait_for_output("x")
                self.session.signal(2)
                self.session.wait_for(lambda m: m["type"] == "error")

    def test_behaves_as_a_text_stream(self) -> None:
        code = (
            "import sys, io\no = sys.stdout\n"
            "[o.encoding, o.errors, o.isatty(), o.fileno(), o.writable(), o.readable(), o.closed, o.name, "
            "isinstance(o, io.TextIOBase), o.line_buffering, o.mode, o.newlines, sys.__stdout__ is o]"
        )
        self.assertEqual(
            self.run_code(code).value,
            ["utf-8", "surrogateescape", False, 1, True, False, False, "<stdout>", True, True, "w", None, True],
        )
        outcome = self.run_code(
            "o.writelines(['a', 'b']); o.flush(); o.reconfigure(encoding='latin-1', line_buffering=False); o.close(); o.write('c')"
        )
        self.assertEqual((outcome.text(), outcome.value), ("abc", 1))
        self.assertEqual(self.run_code("o.write(5)").error, "TypeError")
        self.assertEqual(self.run_code("o.buffer.write('x')").error, "TypeError")
        self.assertEqual(
            self.run_code("print('x', file=o, flush=True); o.buffer.write(b'y'); o.buffer.flush()").text(), "x\ny"
        )

    def test_lets_user_code_redirect(self) -> None:
        code = "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as s: print('in')\nprint('out')\ns.getvalue()"
        outcome = self.run_code(code)
        self.assertEqual((outcome.text(), outcome.value), ("out\n", "in\n"))
        self.run_code("import sys, io; old = sys.stdout; sys.stdout = io.StringIO()")
        self.assertEqual(self.run_code("print('gone')").text(), "")
        self.assertEqual(self.run_code("sys.stdout = old; print('back')").text(), "back\n")
        self.run_code("sys.stdout = None; sys.stderr = 5")
        self.assertEqual(self.run_code("print('x'); 1 + 1").value, 2)
        self.assertEqual(self.run_code("1 / 0").error, "ZeroDivisionError")

    def test_writes_str_subclasses_without_running_them(self) -> None:
        code = "class S(str):\n    def encode(s, *a): raise SystemError\n    def __ne__(s, o): raise SystemError\n    def __len__(s): return 10**9\nprint(S('text'))"
        self.assertEqual(self.run_code(code).text(), "text\n")

    def test_takes_prints_from_destructors_and_threads(self) -> None:
        code = (
            "import gc, threading\nclass N:\n    def __del__(s): print('del')\n"
            "for i in range(300):\n    n = N(); n.me = n; print('x' * 200)\nn = None\ngc.collect()\n"
            "ts = [threading.Thread(target=lambda: [print('t' * 20) for _ in range(500)]) for _ in range(4)]\n"
            "[t.start() for t in ts]; [t.join() for t in ts]; None"
        )
        outcome = self.run_code(code)
        self.assertEqual(outcome.text().count("del"), 300)
        self.assertEqual(outcome.text().count("t" * 20), 2000)
        check_offsets(self, outcome.events)

    def test_many_prints_share_messages(self) -> None:
        outcome = self.run_code("for i in range(100000): print('x' * 79)")
        self.assertEqual(len(outcome.text()), 8000000)
        self.assertLess(len(outcome.events), 20000)

    def test_blocks_while_nobody_reads_and_loses_nothing(self) -> None:
        execution_id = self.session.start("for i in range(100000): print(i)")
        time.sleep(0.3)
        self.assertEqual(self.session.finish(execution_id).text(), "".join(f"{i}\n" for i in range(100000)))

    def test_can_be_interrupted_while_nobody_reads(self) -> None:
        execution_id = self.session.begin("n = 0\nwhile True:\n    print('x' * 1000); n += 1")
        time.sleep(0.3)
        self.assertTrue(self.session.signal(2))
        outcome = self.session.finish(execution_id)
        self.assertEqual(outcome.last["reason"], "interrupted")
        check_offsets(self, outcome.events)
        self.assert_alive()


class OtherWriters(SessionCase):
    def test_takes_c_code_and_subprocesses_in_order(self) -> None:
        code = (
            "import ctypes, os, subprocess, sys\nlibc = ctypes.CDLL(None)\n"
            "print('1'); libc.printf(b'2\\n'); print('3'); os.system('echo 4'); print('5')\n"
            "subprocess.run([sys.executable, '-c', 'print(6)']); print('7'); os.write(1, b'8\\n'); print('9', end=''); libc.puts(b'!')"
        )
        self.assertEqual(self.run_code(code + "; None").text(), "1\n2\n3\n4\n5\n6\n7\n8\n9!\n")

    def test_takes_much_from_a_subprocess(self) -> None:
        code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import sys; sys.stdout.write(\"y\" * 5000000)']); None"
        outcome = self.run_code(code)
        self.assertEqual(len(outcome.text()), 5000000)
        check_offsets(self, outcome.events)

    def test_sends_nothing_between_executions(self) -> None:
        code = (
            "import threading, time, os\ndef late():\n    time.sleep(0.05); print('thread'); os.write(2, b'fd')\n"
            "t = threading.Thread(target=late); t.start()"
        )
        self.run_code(code)
        with self.assertRaises(TimeoutError):
            self.session.live.receive(0.3)
        outcome = self.run_code("t.join(); print('next')")
        self.assertEqual(outcome.text("stdout"), "thread\nnext\n")
        self.assertEqual(outcome.text("stderr"), "fd")
        check_offsets(self, outcome.events)

    def test_survives_a_background_writer_that_fills_the_pipe(self) -> None:
        first = self.run_code("import subprocess, sys; p = subprocess.Popen(['sh', '-c', 'yes | head -c 3000000'])")
        time.sleep(0.2)
        outcome = self.run_code("p.wait()")
        self.assertEqual(len(first.text() + outcome.text()), 3000000)

    def test_forked_children_write_as_plain_processes(self) -> None:
        code = (
            "import os\nprint('before', end=' ')\npid = os.fork()\nif pid == 0:\n    print('child'); os._exit(0)\n"
            "os.waitpid(pid, 0); print('parent')"
        )
        self.assertEqual(self.run_code(code).text(), "before child\nparent\n")

    def test_a_forked_child_that_runs_on_ends_by_itself(self) -> None:
        self.run_code("import os, sys")
        outcome = self.run_code("pid = os.fork()\nif pid: status = os.waitpid(pid, 0)[1]; print(status)\nprint('both')")
        self.assertEqual(sorted(outcome.text().split()), ["0", "both", "both"])
        code = "pid = os.fork()\nif pid == 0: raise ValueError('in child')\nos.waitpid(pid, 0)[1] >> 8"
        outcome = self.run_code(code)
        self.assertEqual(outcome.value, 1)
        self.assertIn("ValueError: in child", outcome.text("stderr"))
        self.assertEqual(
            self.run_code("pid = os.fork()\nif pid == 0: sys.exit(7)\nos.waitpid(pid, 0)[1] >> 8").value, 7
        )
        code = "pid = os.fork()\nif pid == 0:\n    try: input()\n    except EOFError: os._exit(9)\nos.waitpid(pid, 0)[1] >> 8"
        self.assertEqual(self.run_code(code).value, 9)
        self.assert_alive()

    def test_forked_children_of_forked_children_keep_their_descriptors(self) -> None:
        code = (
            "import os\npid = os.fork()\nif pid == 0:\n    held = [os.open('/dev/null', os.O_RDONLY) for _ in range(20)]\n"
            "    inner = os.fork()\n    if inner == 0:\n        for fd in held: os.fstat(fd)\n        os._exit(5)\n"
            "    os._exit(os.waitpid(inner, 0)[1] >> 8)\nos.waitpid(pid, 0)[1] >> 8"
        )
        self.assertEqual(self.run_code(code).value, 5)
        self.assert_alive()

    def test_multiprocessing_works(self) -> None:
        code = (
            "import multiprocessing as mp, concurrent.futures as cf\ndef square(n):\n    print('sq', n)\n    return n * n\n"
            "with mp.get_context('fork').Pool(2) as pool: a = pool.map(square, range(4))\n"
            "with cf.ProcessPoolExecutor(2, mp_context=mp.get_context('fork')) as ex: b = list(ex.map(square, range(4)))\na, b"
        )
        outcome = self.run_code(code)
        self.assertEqual(outcome.value, [[0, 1, 4, 9], [0, 1, 4, 9]])
        self.assertEqual(outcome.text().count("sq "), 8)

    def test_hands_over_what_a_dead_process_had_written(self) -> None:
        said = self.assert_dies("import os\nprint('last words', end='')\nos.write(1, b'+fd')\nos.kill(os.getpid(), 9)")
        self.assertEqual(self.text_of(said), "last words+fd")
        last: Any = said[-1]
        self.assertEqual((last["pid"], last["code"], last["signal"]), (self.session.live.pid, None, 9))

    def test_multiprocessing_can_spawn(self) -> None:
        code = "import math, multiprocessing as mp\nwith mp.get_context('spawn').Pool(1) as pool: r = pool.map(math.sqrt, [4, 9])\nr"
        self.assertEqual(self.run_code(code).value, [2.0, 3.0])

    def test_hands_over_odd_text_too(self) -> None:
        said = self.assert_dies("import os\nos.write(2, b'\\xff')\nos._exit(4)")
        self.assertEqual(self.text_of(said), "\udcff")
        self.assertEqual(said[-1]["code"], 4)


if __name__ == "__main__":
    unittest.main()
