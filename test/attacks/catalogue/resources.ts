/** Owns the attacks on resources: processes, memory, processor, files, output. */
import assert from "node:assert/strict";
import { findControlGroups } from "../../../worker-runner/sandbox/control-groups.ts";
import { assertFailed, printedBy, resultOf } from "../outcome.ts";
import type { Attack } from "./attack.ts";

const MIB = 1024 * 1024;

/** Without a control group each process has a limit of its own, and what processes hold together has none. */
const isMemoryCounted = findControlGroups() !== null;

export const processAttacks: readonly Attack[] = [
  {
    name: "a fork bomb ends at the limit on processes",
    code: "import os\nwhile True:\n    os.fork()",
    contained([outcome]) {
      assertFailed(outcome, "exception", "BlockingIOError");
    },
  },
  {
    name: "a fork bomb that swallows every error ends with its time",
    code: `
import os
while True:
    try:
        os.fork()
    except OSError:
        pass`,
    timeout: 1,
    mayLoseState: true,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "children that fork on behind their parent's back are gone when it is brought back",
    code: `
import os, signal
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            os.fork()
        except OSError:
            pass
os._exit(1)`,
    contained([outcome]) {
      assertFailed(outcome, "process_died");
    },
  },
  {
    name: "children that hold every place do not keep the state from coming back",
    code: [
      `
import os, time
try:
    while True:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
except BlockingIOError:
    pass`,
      "1 + 1",
      "import os; os._exit(1)",
    ],
    contained([, sum, end]) {
      assert.equal(resultOf(sum), 2);
      assert.match(assertFailed(end, "process_died").state, /^(recovered|restored)$/);
    },
  },
  {
    name: "a thread bomb ends at the limit on processes",
    code: `
import threading
stop = threading.Event()
started = 0
try:
    while True:
        threading.Thread(target=stop.wait, daemon=True).start()
        started += 1
finally:
    stop.set()`,
    contained([outcome]) {
      assertFailed(outcome, "exception", "RuntimeError");
    },
  },
  {
    name: "a daemon by double fork and setsid ends with the session",
    code: `
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(1024):
            try:
                os.close(descriptor)
            except OSError:
                pass
        while True:
            time.sleep(1)
    os._exit(0)
os.wait()[1]`,
    contained([outcome]) {
      assert.equal(resultOf(outcome), 0);
    },
  },
  {
    name: "code that ignores SIGINT ends with its time",
    code: "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    timeout: 1,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "code that catches KeyboardInterrupt for ever ends with its time",
    code: `
while True:
    try:
        while True: pass
    except BaseException:
        pass`,
    timeout: 1,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "a computation in C that looks at no signal ends with its time",
    code: "pow(10, 10**9)",
    timeout: 1,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "code that blocks every signal ends with its time",
    code: "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    timeout: 1,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
  {
    name: "a process for every place of the limit, each spinning, leaves the neighbour its share",
    code: `
import os
for _ in range(40):
    if os.fork() == 0:
        while True: pass
while True: pass`,
    timeout: 2,
    contained([outcome]) {
      assertFailed(outcome, "timeout");
    },
  },
];

const countedMemoryAttacks: readonly Attack[] = [
  {
    name: "memory shared among processes counts as well",
    code: `
import mmap, os
hoard = []
while True:
    page = mmap.mmap(-1, 10**7)
    page.write(bytes(10**7))
    hoard.append(page)`,
    timeout: 20,
    contained([outcome]) {
      assertFailed(outcome, "out_of_memory");
    },
  },
  {
    name: "memory hoarded by many small processes counts together",
    code: `
import os, time
for _ in range(40):
    if os.fork() == 0:
        hoard = bytearray(20_000_000)
        for at in range(0, len(hoard), 4096):
            hoard[at] = 1
        time.sleep(60)
        os._exit(0)
time.sleep(60)`,
    timeout: 3,
    contained([outcome]) {
      assert.equal(outcome?.end.type, "error");
    },
  },
  {
    name: "memory hoarded in pipes, memfds and sockets is let go of with its process",
    code: `
import os, socket
hoard = []
try:
    while True:
        memory = os.memfd_create("hoard")
        os.write(memory, bytes(10**7))
        hoard.append(memory)
        pair = socket.socketpair()
        pair[0].setblocking(False)
        try:
            while True: pair[0].send(bytes(65536))
        except BlockingIOError:
            hoard.append(pair)
except OSError as error:
    print(error)`,
    timeout: 20,
    contained([outcome]) {
      assertFailed(outcome, "out_of_memory");
    },
  },
];

export const memoryAttacks: readonly Attack[] = [
  ...(isMemoryCounted ? countedMemoryAttacks : []),
  {
    name: "a memory bomb is named out_of_memory, and the state comes back",
    code: "hoard = []\nwhile True: hoard.append(bytearray(10**7))",
    timeout: 20,
    contained([outcome]) {
      const { state } = assertFailed(outcome, "out_of_memory");
      assert.equal(state, isMemoryCounted ? "recovered" : "kept");
    },
  },
  {
    name: "files in memory that nobody can delete by ending a process stay below the memory limit",
    code: [
      `
import os
for place in ("/tmp", "/dev/shm", "/workspace", os.environ["HOME"]):
    with open(f"{place}/hoard", "wb", buffering=0) as file:
        try:
            while True: file.write(bytes(1 << 20))
        except OSError as error:
            print(place, error.errno)`,
      "hoard = []\nwhile True: hoard.append(bytearray(10**7))",
      "globals().pop('hoard', None)\nlen(bytearray(10**8))",
    ],
    timeout: 20,
    contained([fill, bomb, afterwards]) {
      assert.equal(printedBy(fill).match(/ (28|27)\n/g)?.length, 4);
      assertFailed(bomb, "out_of_memory");
      assert.equal(resultOf(afterwards), 1e8);
    },
  },
  {
    name: "memory that outlives its process is not to be had",
    code: `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0, 10**8, 0o1600), libc.msgget(0, 0o1600))`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "-1 -1\n");
    },
  },
  {
    name: "endless recursion is an error of Python's",
    code: "def fall(): fall()\nfall()",
    contained([outcome]) {
      assertFailed(outcome, "exception", "RecursionError");
    },
  },
  {
    name: "recursion past the end of the stack costs the process and not the state",
    code: `
import sys
sys.setrecursionlimit(10**9)
class Nested:
    def __getattr__(self, name):
        return getattr(self, name + "x")
def fall(depth=0):
    return repr([fall(depth + 1)])
deep = []
for _ in range(10**6): deep = [deep]
fall()`,
    timeout: 20,
    contained([outcome]) {
      assert.equal(outcome?.end.type, "error");
    },
  },
];

export const fileAttacks: readonly Attack[] = [
  {
    name: "a full workspace is ENOSPC, and free again once it is emptied",
    code: [
      `
with open("big", "wb", buffering=0) as file:
    try:
        while True: file.write(bytes(1 << 20))
    except OSError as error:
        print(error.errno)`,
      "import os; os.unlink('big'); open('small', 'w').write('fits')",
    ],
    session: { limits: { workspaceBytes: 64 * MIB } },
    contained([fill, afterwards]) {
      assert.match(printedBy(fill), /^(27|28)\n$/);
      assert.equal(resultOf(afterwards), 4);
    },
  },
  {
    name: "a sparse file of a terabyte is EFBIG",
    code: `
with open("sparse", "wb") as file:
    try:
        file.truncate(10**12)
    except OSError as error:
        print(error.errno)`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "27\n");
    },
  },
  {
    name: "a million small files end at the limit on files",
    code: [
      `
import os
try:
    for number in range(10**6): os.close(os.open(f"/tmp/{number}", os.O_CREAT | os.O_WRONLY))
except OSError as error:
    print(error.errno, number)`,
      "for name in os.listdir('/tmp'): os.unlink('/tmp/' + name)",
    ],
    timeout: 30,
    contained([outcome]) {
      assert.match(printedBy(outcome), /^28 65\d{3}\n$/);
    },
  },
  {
    name: "folders nested past any path end at the limit on files, and go with the session",
    code: `
import os
try:
    for depth in range(10**6):
        os.mkdir("d")
        os.chdir("d")
except OSError as error:
    print(error.errno)
os.chdir("/workspace")`,
    timeout: 30,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "28\n");
    },
  },
  {
    name: "all file descriptors of a process are its own loss, and only for a while",
    code: [
      `
import os
held = []
try:
    while True: held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print(error.errno, len(held) > 900)`,
      "import json; open('/workspace/x', 'w')",
      "for descriptor in held: os.close(descriptor)",
    ],
    contained([outcome, starved]) {
      assert.equal(printedBy(outcome), "24 True\n");
      assertFailed(starved, "exception", "OSError");
    },
  },
];
