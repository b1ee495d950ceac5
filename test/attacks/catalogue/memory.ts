/** Owns the attacks on memory, whoever holds it and however. */
import assert from "node:assert/strict";
import { findControlGroups } from "../../../worker-runner/sandbox/cgroup-parents.ts";
import { isMeasured, underLandlock } from "../grade.ts";
import { assertFailed, printedBy, resultOf } from "../outcome.ts";
import type { Attack } from "./attack.ts";
import { TRY_EACH } from "./attempt.ts";

/** Without a control group each process has a limit of its own, and what processes hold together has none. */
const isMemoryCounted = findControlGroups() !== null;

/** What the buffers of a session's TCP sockets can hold: version 1 gives them a limit of their own, version 2 counts them as memory. */
const tcpMaxMib = findControlGroups()?.mechanism === "cgroup-v1" ? 48 : 512;

const countedMemoryAttacks: readonly Attack[] = [
  {
    name: "memory hoarded in TCP connections to itself is bounded",
    code: `
import socket
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(100)
pairs, total = [], 0
for _ in range(60):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    one.connect(listener.getsockname())
    other, _ = listener.accept()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 6 << 20)
    one.setblocking(False)
    pairs.append((one, other))
    try:
        while True: total += one.send(bytes(65536))
    except OSError:
        pass
total >> 20`,
    timeout: 30,
    contained([outcome]) {
      if (outcome?.end.type === "error") return;
      assert.ok(Number(resultOf(outcome)) < tcpMaxMib, `${resultOf(outcome)} MiB`);
    },
  },
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
    lesser: [
      {
        applies: isMeasured,
        because: "files are on disk: a session that fills more than its room is ended",
        code: [
          `
import os, time
for number in range(20):
    with open(f"hoard-{number}", "wb", buffering=0) as file:
        try:
            for _ in range(100): file.write(bytes(1 << 20))
        except OSError as error:
            print(error.errno)
time.sleep(15)`,
          "len(bytearray(10**8))",
        ],
        contained([fill, afterwards]) {
          assert.equal(fill?.end.type, "error");
          assert.equal(resultOf(afterwards), 1e8);
        },
        mayLoseState: true,
      },
    ],
  },
  {
    name: "memory that outlives its process is not to be had",
    code: `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.shmget(0, 10**8, 0o1600), libc.msgget(0, 0o1600), libc.semget(0, 32_000, 0o1600))
print(ctypes.CDLL("librt.so.1").mq_open(b"/hoard", os.O_CREAT | os.O_RDWR, 0o600, None))`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "-1 -1 -1\n-1\n");
    },
  },
  {
    name: "the machine's memory for compiled filters is not to be had, and other socket options are",
    code: `${TRY_EACH}
import ctypes, socket, struct
program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0xFFFF))
filter = struct.pack("HxxxxxxP", 1, ctypes.addressof(program))
for family in (socket.AF_UNIX, socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as victim:
        for option in (26, 51):
            print(attempt(victim.setsockopt, socket.SOL_SOCKET, option, filter))
        for option in (50, 52):
            print(attempt(victim.setsockopt, socket.SOL_SOCKET, option, 0))
        victim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "PermissionError\n".repeat(8));
      assert.equal(outcome?.end.type, "result");
    },
    lesser: [
      {
        applies: underLandlock,
        because: "there are no sockets but pairs",
        code: `${TRY_EACH}
import socket
print({attempt(socket.socket, family, kind) for family in range(50) for kind in (1, 2, 3, 5)}, {attempt(socket.socketpair, 1, kind) for kind in (2, 3, 5)})
victim = socket.socketpair()[0]
print([attempt(victim.setsockopt, socket.SOL_SOCKET, option, 0) for option in (26, 50, 51, 52)], attempt(victim.bind, "named"), attempt(victim.connect, "/run/x"))`,
        contained([outcome]) {
          assert.doesNotMatch(printedBy(outcome), /done/);
        },
      },
    ],
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
