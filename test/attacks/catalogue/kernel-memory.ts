/** Owns the kinds of kernel memory that a session may try to hoard, each as Python that holds as much of it as it gets. */

export interface KernelMemory {
  name: string;
  /** Defines `make`, which takes one more of the kind, or raises. What it returns is kept. */
  code: string;
  /** How many are tried. */
  tries: number;
  /** Not even one is to be had. */
  isRefused?: boolean;
}

/** Calls by number, for those that Python has no function for. */
const CALL = `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    found = getattr(libc, name)(*arguments)
    if found < 0: raise OSError(ctypes.get_errno(), name)
    return found`;

const refused = (name: string, code: string): KernelMemory => ({ name, code, tries: 1, isRefused: true });

export const kernelMemories: readonly KernelMemory[] = [
  {
    name: "full pipes",
    code: `
import os
def make():
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    os.write(ends[1], bytes(65536))
    return ends`,
    tries: 20_000,
  },
  { name: "eventfds", code: "import os\ndef make(): return os.eventfd(0)", tries: 20_000 },
  { name: "signalfds", code: `${CALL}\ndef make(): return call("signalfd", -1, bytes(128), 0)`, tries: 20_000 },
  { name: "timerfds", code: `${CALL}\ndef make(): return call("timerfd_create", 1, 0)`, tries: 20_000 },
  {
    name: "epolls with watches",
    code: `
import os, select
watched = [os.eventfd(0) for _ in range(100)]
def make():
    one = select.epoll()
    for each in watched: one.register(each)
    return one`,
    tries: 20_000,
  },
  {
    name: "memory files",
    code: `
import os
def make():
    one = os.memfd_create("hoard")
    os.ftruncate(one, 1 << 20)
    os.pwrite(one, b"x", 0)
    return one`,
    tries: 20_000,
  },
  {
    name: "descriptors on their way through local sockets",
    code: `
import os, socket
zero = os.open("/dev/null", os.O_RDONLY)
pair = [None]
def make():
    if pair[0] is None: pair[0] = socket.socketpair()
    one = pair[0]
    one[0].setblocking(False)
    try:
        socket.send_fds(one[0], [b"x"], [zero] * 250)
    except BlockingIOError:
        pair[0] = None
    return one`,
    tries: 20_000,
  },
  {
    name: "local sockets with unread bytes",
    code: `
import socket
def make():
    one = socket.socketpair()
    one[0].setblocking(False)
    try:
        while True: one[0].send(bytes(32768))
    except BlockingIOError:
        return one`,
    tries: 3_000,
  },
  {
    name: "route sockets with unread answers",
    code: `
import socket, struct
def make():
    one = socket.socket(16, 3, 0)
    one.send(struct.pack("IHHIIBxxx", 20, 18, 0x301, 1, 0, 0))
    return one`,
    tries: 20_000,
  },
  {
    name: "file locks",
    code: `
import fcntl, os
file = os.open("locked", os.O_RDWR | os.O_CREAT)
at = [0]
def make():
    at[0] += 2
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at[0])`,
    tries: 20_000,
  },
  {
    name: "leases",
    code: `
import fcntl, os
names = iter(range(10**9))
def make():
    file = os.open(f"leased-{next(names)}", os.O_RDONLY | os.O_CREAT)
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    return file`,
    tries: 5_000,
  },
  {
    name: "names of files that are not there",
    code: `
import os
names = iter(range(10**9))
def make(): return [os.path.exists(f"/tmp/{'x' * 200}{next(names)}") for _ in range(100)]`,
    tries: 2_000,
  },
  {
    name: "extended attributes",
    code: `
import os
open("tagged", "w").close()
names = iter(range(10**9))
def make(): os.setxattr("tagged", f"user.{next(names)}", bytes(60_000))`,
    tries: 10_000,
  },
  {
    name: "page tables of a sparse mapping",
    code: `
import mmap
memory = mmap.mmap(-1, 64 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
at = iter(range(0, 64 << 30, 2 << 20))
def make(): return memory[next(at)]`,
    tries: 30_000,
  },
  {
    name: "mappings",
    code: `
import mmap
def make(): return mmap.mmap(-1, 4096, prot=mmap.PROT_READ), mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)`,
    tries: 40_000,
  },
  {
    name: "timers",
    code: `${CALL}\ndef make():\n    one = ctypes.c_void_p()\n    call("timer_create", 1, None, ctypes.byref(one))\n    return one`,
    tries: 20_000,
  },
  {
    name: "waiting signals",
    code: `${CALL}
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
def make(): call("sigqueue", os.getpid(), 40, None)`,
    tries: 100_000,
  },
  refused("inotify", `${CALL}\ndef make(): return call("inotify_init")`),
  refused("fanotify", `${CALL}\ndef make(): return call("fanotify_init", 0x200, 0)`),
  refused("System V segments", `${CALL}\ndef make(): return call("shmget", 0, 4096, 0o1600)`),
  refused("System V queues", `${CALL}\ndef make(): return call("msgget", 0, 0o1600)`),
  refused("System V semaphores", `${CALL}\ndef make(): return call("semget", 0, 32, 0o1600)`),
  refused("POSIX queues", `${CALL}\ndef make(): return call("mq_open", b"/hoard", 0o102, 0o600, None)`),
  refused(
    "userfaultfd",
    `${CALL}\ndef make(): return call("syscall", 323 if os.uname().machine == "x86_64" else 282, 0)`,
  ),
  refused("io_uring", `${CALL}\ndef make(): return call("syscall", 425, 8, bytes(120))`),
  refused(
    "keys",
    `${CALL}\ndef make(): return call("syscall", 248 if os.uname().machine == "x86_64" else 217, b"user", b"hoard", b"x", 1, -3)`,
  ),
  refused(
    "BPF maps",
    `${CALL}\ndef make(): return call("syscall", 321 if os.uname().machine == "x86_64" else 280, 0, bytes(72), 72)`,
  ),
  refused(
    "perf events",
    `${CALL}\ndef make(): return call("perf_event_open" if False else "syscall", 298 if os.uname().machine == "x86_64" else 241, bytes(128), 0, -1, -1, 0)`,
  ),
  refused("packet sockets", "import socket\ndef make(): return socket.socket(17, 3, 0)"),
  refused("crypto sockets", "import socket\ndef make(): return socket.socket(38, 5, 0)"),
  refused("UDP over IPv4", "import socket\ndef make(): return socket.socket(2, 2, 0)"),
  refused("UDP over IPv6", "import socket\ndef make(): return socket.socket(10, 2, 0)"),
  refused("mounts", `${CALL}\ndef make(): return call("mount", b"none", b"/tmp", b"tmpfs", 0, None)`),
  refused("namespaces", `${CALL}\ndef make(): return call("unshare", 0x10000000)`),
];
