"""Checkpoint blobs: what comes back, what is named as missing, and what a blob that is wrong does."""

from __future__ import annotations

import hashlib
import os
import shutil
import unittest

from channel_driver import Blob, Driver, Message
from session_case import SessionCase

CORPUS = r"""
import abc, collections, dataclasses, enum, functools, random, sys, threading, typing
random.seed(5); random.random()
shared = [1, 2]; again = shared; holder = {'s': shared}; ring = []; ring.append(ring)
level = 10
def reads_global(): return level
def counter():
    n = 0
    def inc():
        nonlocal n; n += 1; return n
    def peek(): return n
    return inc, peek
inc, peek = counter(); inc()
times = lambda v, by=3: v * by + level
class Base:
    kind = 'base'
    def __init__(self): self.v = shared
    def get(self): return self.v, level
    @property
    def p(self): return self.kind
    @classmethod
    def cm(cls): return cls.__name__
    @staticmethod
    def sm(): return 7
class Child(Base):
    def get(self): return super().get()
base = Base(); child = Child(); Base.kind = 'changed'; child.own = 1; bound = child.get
class Colour(enum.Enum):
    RED = 1
    GREEN = 2
    def low(self): return self.name.lower()
red = Colour.RED
class Flag(enum.IntFlag):
    P = 1
    Q = 2
flags = Flag.P | Flag.Q
@dataclasses.dataclass(order=True)
class Point:
    x: int = 1
    tags: list = dataclasses.field(default_factory=list)
point = Point(4)
class Named(typing.NamedTuple):
    a: int
    b: int = 3
named = Named(1)
Old = collections.namedtuple('Old', 'x y'); old = Old(1, 2)
class Slots:
    __slots__ = ('u', 'w')
    def __init__(self): self.u = 1
slots = Slots()
class Abstract(abc.ABC):
    @abc.abstractmethod
    def z(self): ...
class Concrete(Abstract):
    def z(self): return 'z'
concrete = Concrete()
class State:
    def __getstate__(self): return {'kept': self.kept}
    def __setstate__(self, s): self.kept = s['kept'] + 1
state = State(); state.kept = 1
T = typing.TypeVar('T')
class Box(typing.Generic[T]):
    pass
class Meta(type):
    def tag(cls): return 'meta ' + cls.__name__
class Made(metaclass=Meta):
    pass
def factorial(n): return 1 if n == 0 else n * factorial(n - 1)
def plus_one(g):
    @functools.wraps(g)
    def wrapped(*a): return g(*a) + 1
    return wrapped
@plus_one
def identity(v): return v
@functools.lru_cache(None)
def cached(n): return n * 2
partial = functools.partial(pow, 2)
ordered = collections.OrderedDict(a=1); queue = collections.deque([shared], 5); default = collections.defaultdict(list, k=[1])
count = collections.Counter('aab')
big, text, raw, both = 2**200, 'é\ud800', b'\0\xff', {1, frozenset({2})}
path, me, out = __import__('os').path, globals(), sys.stdout
async def coro(): return 5
def gen(): yield 1
nothing = None
17 + 4
"""

CHECKS = {
    "_": "21",
    "again is shared and holder['s'] is shared and base.v is shared and queue[0] is shared and ring[0] is ring": "True",
    "reads_global()": "10",
    "exec('level = 11', globals()) or (reads_global(), times(2), base.get()[1])": "(11, 17, 11)",
    "inc(), peek(), inc()": "(2, 2, 3)",
    "child.get()[0] is shared, bound.__self__ is child, child.p, Base.cm(), child.sm(), child.own": "(True, True, 'changed', 'Base', 7, 1)",
    "type(child) is Child and isinstance(child, Base) and Child.__mro__[1] is Base": "True",
    "red is Colour.RED, Colour(2).low(), list(Colour), Colour['RED'] is red, flags, Flag.P | Flag.Q == flags": None,
    "point, Point(1) < Point(2), Point(4) == point, dataclasses.fields(Point)[0].name, dataclasses.replace(point, x=9).x": None,
    "named, Named(5), named._replace(a=9), old, old._replace(x=5), Old._fields": None,
    "slots.u, hasattr(slots, 'w'), hasattr(slots, '__dict__')": "(1, False, False)",
    "concrete.z(), Abstract.__abstractmethods__": "('z', frozenset({'z'}))",
    "state.kept": "2",
    "Made.tag(), type(Made) is Meta": "('meta Made', True)",
    "Box[int].__origin__ is Box, Box.__parameters__ == (T,)": "(True, True)",
    "factorial(5), identity(1), identity.__name__, partial(3)": "(120, 2, 'identity', 8)",
    "cached(4), cached.cache_info().misses, cached.__name__": None,
    "ordered['a'], queue.maxlen, default['new'], count.most_common(1)": "(1, 5, [], [('a', 2)])",
    "big == 2**200, text, raw, both == {1, frozenset({2})}, nothing": "(True, 'é\\ud800', b'\\x00\\xff', True, None)",
    "path is __import__('os').path, me is globals(), out is sys.stdout": "(True, True, True)",
    "await coro(), list(gen())": "(5, [1])",
    "reads_global.__module__, Base.__module__, Base.get.__qualname__": "('__main__', '__main__', 'Base.get')",
    "__import__('inspect').getsource(factorial)": None,
}


class Blobs(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        self.empty_workspace()

    def empty_workspace(self) -> None:
        """Leave no file of an earlier test, or of the time before a load."""
        for entry in os.scandir(self.session.workspace):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)

    def save(self, **options: int) -> Blob:
        """Take a snapshot and have it serialised."""
        snapshot, _ = self.session.snapshot()
        blob = self.session.checkpoint(snapshot, **options)
        self.session.drop(snapshot)
        return blob

    def load_fresh(self, blob: Blob) -> Message:
        """Load a blob into a fresh live process with an empty workspace."""
        self.session.sweep()
        self.empty_workspace()
        self.session.live = self.session.spawn(self.session.keeper)
        return self.session.load(blob.content)

    def check_corpus(self) -> None:
        self.assertEqual(self.run_code(CORPUS).value, 21)
        expected = {code: self.run_code(code).repr for code in CHECKS if CHECKS[code] is None}
        self.session.restart()
        self.run_code(CORPUS)
        random_first = self.run_code(
            "copied = random.getstate(); r = random.random(); random.setstate(copied); r"
        ).value
        self.run_code("del copied, r; 21")
        blob = self.save()
        self.assertEqual(set(blob.skipped()), set())
        answer = self.load_fresh(blob)
        self.assertEqual(answer["type"], "loaded", answer)
        self.assertEqual(answer["missing"], [])
        self.assertEqual(self.run_code("random.random()").value, random_first)
        self.run_code("21")
        for code, wanted in CHECKS.items():
            with self.subTest(code=code):
                self.assertEqual(self.run_code(code).repr, expected.get(code, wanted))

    def test_bring_back_a_corpus(self) -> None:
        self.check_corpus()

    def test_bring_back_a_corpus_without_cloudpickle(self) -> None:
        # Without `site`, no package is found beside the standard library.
        shared, self.session = self.session, Driver(flags=("-S",))
        try:
            self.check_corpus()
        finally:
            self.session.close()
            self.session = shared

    def test_are_whole_and_say_so(self) -> None:
        self.run_code("x = list(range(1000))")
        blob = self.save()
        self.assertEqual(len(blob.content), blob.report["size"])
        self.assertEqual(hashlib.sha256(blob.content).hexdigest(), blob.report["sha256"])

    def test_name_what_cannot_be_saved(self) -> None:
        self.run_code(
            "import threading, socket, subprocess, sys\ngen = (i for i in range(3)); lock = threading.Lock(); f = open('/etc/hostname')\n"
            "s = socket.socket(); t = threading.Thread(target=print)\ndef fr(): return sys._getframe()\nframe = fr()\n"
            "p = subprocess.Popen(['true']); good = 1; holds = [good, lock]; sharing = [holds, 2]\n"
            "class Bad:\n    def __reduce__(self): raise ValueError('never')\nbad = Bad()\n"
            "class Exits:\n    def __reduce__(self): raise SystemExit\nexits = Exits()\n"
            "def uses(): return lock"
        )
        skipped = self.save().report["skipped"]
        names = {entry["name"] for entry in skipped}
        self.assertEqual(names, {"gen", "lock", "f", "s", "t", "frame", "p", "holds", "sharing", "bad", "exits"})
        by_name = {entry["name"]: entry for entry in skipped}
        self.assertEqual(by_name["gen"]["type"], "generator")
        self.assertIn("ValueError: never", by_name["bad"]["reason"])

    def test_keep_the_rest_where_one_object_fails(self) -> None:
        self.run_code("import threading\na = [1]; b = [a, threading.Lock()]; c = [a]; d = {'c': c}")
        blob = self.save()
        self.assertEqual(set(blob.skipped()), {"b"})
        self.assertEqual(self.load_fresh(blob)["missing"], [])
        self.assertEqual(self.run_code("d['c'] is c and c[0] is a").value, True)

    def test_name_what_cannot_be_loaded(self) -> None:
        self.run_code(
            "open('gone.py', 'w').write('class G: pass\\nx = 1')\nimport gone, os\ng = gone.G(); other = [5]\nos.unlink('gone.py')\n"
            "class Breaks:\n    def __setstate__(self, s): raise RuntimeError('no')\n    def __getstate__(self): return 1\n"
            "broken = Breaks(); fine = 3"
        )
        blob = self.save()
        self.assertEqual(blob.skipped(), {})
        answer = self.load_fresh(blob)
        missing = {entry["name"]: entry["reason"] for entry in answer["missing"]}
        self.assertEqual(set(missing), {"gone", "g", "broken"})
        self.assertIn("gone", missing["g"])
        self.assertIn("RuntimeError", missing["broken"])
        self.assertEqual(self.run_code("other, fine").value, [[5], 3])

    def test_carry_environment_and_working_directory(self) -> None:
        self.run_code(
            "import os, sys\nos.environ['ADDED'] = '1'; os.environ.pop('HOME'); os.mkdir('sub'); os.chdir('sub'); sys.path.append('/added')"
        )
        blob = self.save()
        self.load_fresh(blob)
        outcome = self.run_code(
            "os.environ['ADDED'], 'HOME' in os.environ, os.path.basename(os.getcwd()), sys.path[-1], sys.path[0]"
        )
        self.assertEqual(outcome.value, ["1", False, "sub", "/added", ""])

    def test_carry_the_workspace(self) -> None:
        self.run_code(
            "import os\nos.makedirs('a/b'); open('a/b/f.bin', 'wb').write(bytes(range(256)) * 3000); open('run.sh', 'w').write('x')\n"
            "os.chmod('run.sh', 0o755); os.symlink('/etc/passwd', 'out'); os.symlink('a/b', 'in'); os.mkfifo('pipe')\n"
            "open('mod.py', 'w').write('y = 5'); import mod; os.utime('run.sh', (1, 1)); os.mkdir('empty')"
        )
        blob = self.save()
        self.assertEqual(set(blob.skipped()), {"pipe"})
        self.assertEqual(self.load_fresh(blob)["missing"], [])
        code = (
            "[os.path.getsize('a/b/f.bin'), os.stat('run.sh').st_mode & 0o777, os.readlink('out'), os.readlink('in'), mod.y, "
            "os.path.getmtime('run.sh'), sorted(os.listdir('.')), open('in/f.bin', 'rb').read(3) == bytes(range(3))]"
        )
        names = ["a", "empty", "in", "mod.py", "out", "run.sh"]
        self.assertEqual(self.run_code(code).value, [768000, 0o755, "/etc/passwd", "a/b", 5, 1.0, names, True])

    def test_bound_the_workspace(self) -> None:
        self.run_code(
            "import os\nopen('fits', 'wb').write(b'x' * 1000)\nopen('sparse', 'wb').truncate(10**11)\nopen('large', 'wb').write(b'x' * 2000)\n"
            "d = 'deep'\nfor i in range(80):\n    os.mkdir(d); d += '/d'\nos.makedirs('many')\nfor i in range(200): open(f'many/{i}', 'w')"
        )
        blob = self.save(max_workspace_bytes=1000)
        skipped = blob.skipped()
        self.assertIn("sparse", skipped)
        self.assertIn("large", skipped)
        self.assertTrue(any(name.startswith("deep/") for name in skipped))
        self.assertNotIn("fits", skipped)
        self.assertLess(len(blob.content), 200000)

    def test_stay_within_their_limit(self) -> None:
        self.run_code("small = [1]; huge = [b'%d' % i * 200 for i in range(10000)]; blob = bytes(10**7); after = 2")
        for limit in (100000, 5 * 10**6):
            blob = self.save(max_blob_bytes=limit)
            self.assertLessEqual(len(blob.content), limit)
            self.assertEqual(set(blob.skipped()), {"huge", "blob"})
        self.load_fresh(blob)
        self.assertEqual(self.run_code("small, after").value, [[1], 2])

    def test_leave_other_names_where_asked(self) -> None:
        self.run_code("x = 1; y = [2]")
        blob = self.save()
        self.run_code("x = 5; z = 6; del y")
        self.assertEqual(self.session.load(blob.content, clear_existing=False)["restored"], ["x", "y"])
        self.assertEqual(self.run_code("x, y, z").value, [1, [2], 6])
        self.session.load(blob.content, clear_existing=True)
        self.assertEqual(self.run_code("'z' in globals()").value, False)

    def test_that_are_damaged_are_refused(self) -> None:
        self.run_code("x = [1, 2, 3]; y = 'text' * 1000")
        content = self.save().content
        self.session.restart()
        for position in (0, 5, 25, 60, 100, len(content) // 2, len(content) - 40, len(content) - 1):
            damaged = bytearray(content)
            damaged[position] ^= 1
            answer = self.session.load(bytes(damaged))
            self.assertIn(answer.get("code"), ("checksum", "format"), position)
        for damaged in (b"", b"x", content[:-1], content[: len(content) // 2], content + b"x", b"x" * 1000):
            self.assertIn(self.session.load(damaged).get("code"), ("checksum", "format"))
        self.assertEqual(self.run_code("'x' in globals()").value, False)
        self.assertEqual(self.session.load(content)["type"], "loaded")

    def test_of_another_python_are_refused(self) -> None:
        content = self.save().content
        version = b"cpython-3."
        start = content.index(version) + len(version)
        digits = content[start : content.index(b'"', start)]
        other = bytearray(content)
        other[start : start + len(digits)] = b"8" * len(digits)
        other[-32:] = hashlib.sha256(other[:-32]).digest()
        answer = self.session.load(bytes(other))
        self.assertEqual(answer["code"], "python_version")
        self.assertIn("cpython-3.8", answer["detail"])

    def test_survive_hostile_names_and_states(self) -> None:
        self.run_code(
            "globals()[5] = 'number'; globals()['not a name'] = 1; import builtins; builtins.len = None\nimport pickle; pickle.Pickler = None"
        )
        blob = self.save()
        self.assertEqual(self.load_fresh(blob)["type"], "loaded")
        self.assertEqual(self.run_code("globals()['not a name']").value, 1)

    def test_save_prints_nothing_into_the_session(self) -> None:
        self.run_code(
            "class Loud:\n    def __reduce__(self):\n        print('saving'); import os; os.write(1, b'fd')\n        return (Loud, ())\nx = Loud()"
        )
        self.save()
        self.assertEqual(self.run_code("print('only')").text(), "only\n")

    def test_deep_structures(self) -> None:
        self.run_code(
            "class N:\n    def __init__(s, n): s.n = n\nn = None\nfor _ in range(3000): n = N(n)\nl = []\nfor _ in range(3000): l = [l]"
        )
        blob = self.save()
        self.assertLessEqual(set(blob.skipped()), {"n", "l"})
        self.load_fresh(blob)
        self.assert_alive()

    def test_do_not_stop_the_live_process(self) -> None:
        self.run_code("big = [str(i) for i in range(300000)]")
        snapshot, report = self.session.snapshot()
        self.assertLess(report["pause"], 0.5)
        blob = self.session.checkpoint(snapshot)
        self.assert_alive()
        self.assertGreater(len(blob.content), 10**6)
        self.load_fresh(blob)
        self.assertEqual(self.run_code("len(big), big[-1]").value, [300000, "299999"])

    def test_carry_tracebacks_and_future_statements(self) -> None:
        self.run_code("from __future__ import annotations\ndef fails():\n    raise ValueError('from before')")
        blob = self.save()
        self.load_fresh(blob)
        self.assertIn("raise ValueError('from before')", self.run_code("fails()").last["traceback"])
        self.assertEqual(self.run_code("def f(x: unknown): pass\nf.__annotations__['x']").value, "unknown")


if __name__ == "__main__":
    unittest.main()
