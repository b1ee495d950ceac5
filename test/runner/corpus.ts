// Kinds of state and what it takes to bring them back: set up, then changed, then looked at.

export interface Case {
  name: string;
  /** Makes the state. */
  before: string;
  /** Changes it; its effect must be gone after a rollback or a restore. */
  change: string;
  /** An expression whose JSON value must be the same before the change and after coming back. */
  look: string;
  /** What a blob brings back: `same` unless said otherwise; `named`: the name is listed as missing or skipped. */
  blob?: "same" | "named" | "outside";
  /** What the blob path is known to do, where it is not the same. */
  why?: string;
}

export const corpus: Case[] = [
  { name: "a number", before: "x = 1", change: "x = 2", look: "x" },
  { name: "a new name", before: "x = 1", change: "y = 2", look: "'y' in globals()" },
  { name: "a deleted name", before: "x = 1", change: "del x", look: "x" },
  { name: "a list changed in place", before: "x = [1]", change: "x.append(2)", look: "x" },
  { name: "an alias", before: "x = [1]\ny = x", change: "y.append(2)", look: "[x, x is y]" },
  {
    name: "an alias inside a dict",
    before: "x = [1]\nd = {'k': x}",
    change: "d['k'].append(2)",
    look: "[x, d['k'] is x]",
  },
  { name: "a cycle", before: "x = [1]\nx.append(x)", change: "x[0] = 2", look: "[x[0], x[1] is x]" },
  { name: "a dict's order", before: "d = {'b': 1, 'a': 2}", change: "d['b'] = d.pop('b')", look: "list(d)" },
  { name: "a set", before: "s = {1, 2}", change: "s.add(3)", look: "sorted(s)" },
  { name: "a bytearray", before: "b = bytearray(b'ab')", change: "b += b'c'", look: "b.decode()" },
  {
    name: "a deque",
    before: "from collections import deque\nq = deque([1], 3)",
    change: "q.append(2)",
    look: "[list(q), q.maxlen]",
  },
  {
    name: "a Counter",
    before: "from collections import Counter\nc = Counter('aab')",
    change: "c.update('b')",
    look: "dict(c)",
  },
  {
    name: "a function",
    before: "def f(): return 1",
    change: "def f(): return 2",
    look: "f()",
  },
  { name: "a function's default", before: "def f(a=[]): return a", change: "f().append(1)", look: "f()" },
  { name: "a function's attribute", before: "def f(): pass\nf.n = 1", change: "f.n = 2", look: "f.n" },
  {
    name: "a closure",
    before:
      "def make():\n  n = 0\n  def count():\n    nonlocal n\n    n += 1\n    return n\n  return count, lambda: n\ncount, now = make()\nv = count()",
    change: "v = count()",
    look: "[v, now()]",
  },
  { name: "a lambda", before: "f = lambda: 1", change: "f = lambda: 2", look: "f()" },
  {
    name: "a recursive function",
    before: "def f(n): return 1 if n < 2 else n * f(n - 1)",
    change: "f = None",
    look: "f(5)",
  },
  {
    name: "a decorated function",
    before: "import functools\n@functools.lru_cache\ndef f(n): return n + 1\nv = f(1)",
    change: "f = None",
    look: "f(1)",
  },
  { name: "a partial", before: "import functools\nf = functools.partial(pow, 2)", change: "f = None", look: "f(3)" },
  {
    name: "a class",
    before: "class A:\n  def f(self): return 1",
    change: "class A:\n  def f(self): return 2",
    look: "A().f()",
  },
  { name: "a class attribute", before: "class A: n = 1", change: "A.n = 2", look: "A.n" },
  {
    name: "a class attribute that is changed in place",
    before: "class A: all = []",
    change: "A.all.append(1)",
    look: "A.all",
  },
  { name: "an instance", before: "class A: pass\na = A()\na.n = 1", change: "a.n = 2", look: "[a.n, type(a) is A]" },
  {
    name: "an instance with slots",
    before: "class A: __slots__ = ('n',)\na = A()\na.n = 1",
    change: "a.n = 2",
    look: "a.n",
  },
  {
    name: "a class tree",
    before: "class A:\n  def f(self): return 1\nclass B(A):\n  def f(self): return super().f() + 1\nb = B()",
    change: "A.f = lambda self: 5",
    look: "[b.f(), isinstance(b, A)]",
  },
  {
    name: "a property",
    before: "class A:\n  @property\n  def n(self): return 1\na = A()",
    change: "A.n = 3",
    look: "a.n",
  },
  {
    name: "a dataclass",
    before: "from dataclasses import dataclass\n@dataclass\nclass P:\n  n: int\np = P(1)",
    change: "p.n = 2",
    look: "[p.n, repr(p)]",
  },
  {
    name: "an enum",
    before: "import enum\nclass C(enum.Enum):\n  A = 1\nc = C.A",
    change: "c = None",
    look: "[c.name, c is C.A]",
  },
  {
    name: "a named tuple",
    before: "from collections import namedtuple\nP = namedtuple('P', 'a b')\np = P(1, 2)",
    change: "p = p._replace(a=3)",
    look: "[p.a, list(p)]",
  },
  {
    name: "a bound method",
    before: "class A:\n  n = 1\n  def f(self): return self.n\na = A()\nm = a.f",
    change: "a.n = 2",
    look: "m()",
  },
  {
    name: "a module's global",
    before: "import string\nstring.mark = 1",
    change: "string.mark = 2",
    look: "string.mark",
    blob: "outside",
    why: "modules are imported anew",
  },
  {
    name: "a patched module",
    before: "import math\nv = math.floor(1.5)",
    change: "math.floor = lambda n: 7",
    look: "math.floor(1.5)",
  },
  { name: "an imported name", before: "from math import sqrt as root", change: "root = None", look: "root(9)" },
  { name: "an import", before: "import colorsys", change: "del colorsys", look: "colorsys.__name__" },
  {
    name: "sys.path",
    before: "import sys\nsys.path.append('/marked')",
    change: "sys.path.remove('/marked')",
    look: "'/marked' in sys.path",
  },
  {
    name: "sys.modules",
    before: "import sys",
    change: "sys.modules['made_up'] = sys",
    look: "'made_up' in sys.modules",
  },
  {
    name: "os.environ",
    before: "import os\nos.environ['MARK'] = '1'",
    change: "os.environ['MARK'] = '2'",
    look: "[os.environ['MARK'], os.popen('echo $MARK').read()]",
  },
  {
    name: "the working directory",
    before: "import os\nos.makedirs('sub', exist_ok=True)\nos.chdir('sub')",
    change: "os.chdir('/')",
    look: "os.path.basename(os.getcwd())",
  },
  {
    name: "the recursion limit",
    before: "import sys\nsys.setrecursionlimit(1234)",
    change: "sys.setrecursionlimit(999)",
    look: "sys.getrecursionlimit()",
    blob: "outside",
    why: "a setting of the interpreter",
  },
  {
    name: "random's state",
    before: "import random\nrandom.seed(5)\nv = random.random()",
    change: "random.random()",
    look: "random.getstate()[1][-1]",
  },
  {
    name: "a Random of one's own",
    before: "import random\nr = random.Random(5)\nr.random()",
    change: "r.random()",
    look: "r.getstate()[1][-1]",
  },
  {
    name: "a running generator",
    before: "g = iter((i for i in range(9)))\nv = next(g)",
    change: "v = next(g)",
    look: "[v, g.gi_frame is not None]",
    blob: "named",
    why: "a frame cannot be saved",
  },
  {
    name: "a list iterator",
    before: "i = iter([1, 2, 3])\nv = next(i)",
    change: "v = next(i)",
    look: "[v, i.__length_hint__()]",
  },
  {
    name: "an itertools counter",
    before: "import itertools\nc = itertools.count(5)\nv = next(c)",
    change: "v = next(c)",
    look: "[v, repr(c)]",
  },
  {
    name: "an open file's text",
    before: "import io\nf = io.StringIO('ab')\nf.read(1)",
    change: "f.read(1)",
    look: "[f.tell(), f.getvalue()]",
  },
  {
    name: "an exception with its traceback",
    before: "try: 1/0\nexcept ZeroDivisionError as error: e = error",
    change: "e = None",
    look: "[type(e).__name__, str(e)]",
  },
  {
    name: "C-extension state: zlib",
    before: "import zlib\nz = zlib.compressobj()\nv = len(z.compress(b'abc' * 100))",
    change: "z.compress(b'x' * 100000)",
    look: "len(z.copy().flush())",
    blob: "named",
    why: "zlib gives nothing to save",
  },
  {
    name: "C-extension state: a regular expression",
    before: "import re\np = re.compile('a+')",
    change: "p = None",
    look: "p.match('aab').end()",
  },
  {
    name: "C-extension state: sqlite",
    before: "import sqlite3\ndb = sqlite3.connect(':memory:')\nv = db.execute('create table t as select 1 n') and None",
    change: "v = db.execute('insert into t values (2)') and None",
    look: "db.execute('select count(*) from t').fetchone()[0]",
    blob: "named",
    why: "a connection is no value",
  },
  {
    name: "C-extension state: decimal's context",
    before: "import decimal\ndecimal.getcontext().prec = 9",
    change: "decimal.getcontext().prec = 3",
    look: "str(decimal.Decimal(1) / 3)",
    blob: "outside",
    why: "a setting of a module",
  },
  {
    name: "a datetime",
    before: "import datetime\nd = datetime.datetime(2020, 2, 29, tzinfo=datetime.timezone.utc)",
    change: "d += datetime.timedelta(1)",
    look: "d.isoformat()",
  },
  {
    name: "a weak reference",
    before: "import weakref\nclass A: pass\na = A()\nw = weakref.ref(a)",
    change: "a = None",
    look: "w() is a and a is not None",
    blob: "named",
    why: "what it points at is not its own",
  },
  {
    name: "a context variable",
    before: "import contextvars\nv = contextvars.ContextVar('v', default=0)\nt = v.set(1) and None",
    change: "t = v.set(2) and None",
    look: "v.get()",
    blob: "named",
    why: "contexts cannot be saved",
  },
  {
    name: "a thread lock",
    before: "import threading\nl = threading.Lock()\nv = l.acquire()",
    change: "l.release()",
    look: "l.locked()",
    blob: "named",
    why: "locks cannot be saved",
  },
  { name: "a builtin that is hidden", before: "len = lambda it: 42", change: "del len", look: "len([])" },
  { name: "the last value", before: "7 * 6", change: "1 + 1", look: "_" },
  {
    name: "a warning filter",
    before: "import warnings\nwarnings.simplefilter('error')\nn = len(warnings.filters)",
    change: "warnings.resetwarnings()",
    look: "len(warnings.filters) == n",
    blob: "outside",
    why: "a setting of a module",
  },
  {
    name: "ctypes memory",
    before: "import ctypes\na = (ctypes.c_int * 2)(1, 2)",
    change: "a[0] = 9",
    look: "list(a)",
    blob: "named",
    why: "its type is made on the spot",
  },
  {
    name: "a memory map",
    before: "import mmap\nm = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\nm[:2] = b'ab'",
    change: "m[:2] = b'xy'",
    look: "m[:2].decode()",
    blob: "named",
    why: "a mapping is no value",
  },
];

/** Needs numpy. */
export const numpyCorpus: Case[] = [
  { name: "a numpy array", before: "import numpy as np\na = np.arange(4)", change: "a[0] = 9", look: "a.tolist()" },
  {
    name: "a numpy view",
    before: "import numpy as np\na = np.arange(4)\nb = a[1:3]",
    change: "b[0] = 9",
    look: "[a.tolist(), b.tolist()]",
  },
  {
    name: "numpy's random state",
    before: "import numpy as np\nnp.random.seed(3)\nv = float(np.random.rand())",
    change: "v = float(np.random.rand())",
    look: "[v, int(np.random.get_state()[2])]",
    blob: "outside",
    why: "a setting of a module",
  },
  {
    name: "a numpy generator",
    before: "import numpy as np\nr = np.random.default_rng(3)\nv = float(r.random())",
    change: "v = float(r.random())",
    look: "[v, str(r.bit_generator.state['state']['state'])]",
  },
];
