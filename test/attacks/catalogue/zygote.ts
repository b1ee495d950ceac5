/** Owns the attempts to reach the zygote that the session was forked from, or another session of it. */
import assert from "node:assert/strict";
import { underLandlock } from "../grade.ts";
import { printedBy, resultOf } from "../outcome.ts";
import type { Attack } from "./attack.ts";
import { TRY_EACH } from "./attempt.ts";

export const zygoteAttacks: readonly Attack[] = [
  {
    name: "no pid leads to a process outside, by signal, pidfd, /proc, group or session",
    timeout: 60,
    code: `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
inside = {int(name) for name in os.listdir("/proc") if name.isdigit()} | set(map(int, os.listdir("/proc/self/task")))
def reached(pid):
    for look in (lambda: os.kill(pid, 0), lambda: os.close(os.pidfd_open(pid)), lambda: os.stat(f"/proc/{pid}"), lambda: os.getsid(pid)):
        try: look()
        except OSError: continue
        return True
    return False
print({pid for pid in range(1, 70_000) if pid not in inside and reached(pid)})
print([os.getsid(1), os.getpgid(1), open("/proc/1/stat").read().split()[3]])`,
    contained([outcome]) {
      // The keeper leads its own session, and its parent is not there.
      assert.equal(printedBy(outcome), "set()\n[1, 1, '0']\n");
    },
    lesser: [
      {
        applies: underLandlock,
        because:
          "the ids of other processes can be seen, but no signal reaches them, and no group of theirs can be joined",
        code: `
import os, signal
inside = {os.getpid()} | set(map(int, os.listdir("/proc/self/task")))
def reached(pid):
    def by_descriptor():
        fd = os.pidfd_open(pid)
        try: signal.pidfd_send_signal(fd, 0)
        finally: os.close(fd)
    for look in (lambda: os.kill(pid, 0), lambda: os.kill(-pid, 0), by_descriptor, lambda: os.setpgid(0, pid)):
        try: look()
        except OSError: continue
        return True
    return False
def parent_of(pid):
    try: return int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
    except OSError: return 0
def is_own(pid):
    while pid > 1 and pid != KEEPER: pid = parent_of(pid)
    return pid == KEEPER
found = [pid for pid in range(1, 70_000) if pid not in inside and reached(pid)]
print({pid for pid in found if os.path.exists(f"/proc/{pid}") and not is_own(pid)}, len(found) < 5)`,
        contained([outcome]) {
          // The session's own snapshots are the only other processes that it may reach.
          assert.equal(printedBy(outcome), "set() True\n");
        },
      },
    ],
  },
  {
    name: "no descriptor of the zygote or of another session is inherited",
    code: `${TRY_EACH}
import os, stat
kinds = set()
for fd in range(4096):
    try: mode = os.fstat(fd).st_mode
    except OSError: continue
    target = os.readlink(f"/proc/self/fd/{fd}")
    kinds.add(target if target.startswith("/") else target.split(":")[0] + (target[10:] if target.startswith("anon") else ""))
print(sorted(kinds), attempt(os.listdir, "/proc/KEEPER/fd"))`,
    contained([outcome]) {
      assert.equal(
        printedBy(outcome),
        "['/dev/null', 'anon_inode:[eventpoll]', 'anon_inode:[timerfd]', 'pipe', 'socket'] PermissionError\n",
      );
    },
  },
  {
    name: "the only memory that is shared and writable is the session's own output ring",
    code: `
shared = [line.split() for line in open("/proc/self/maps") if line.split()[1].endswith("s") and "w" in line.split()[1]]
print(len(shared) >= 1, {(words[1], " ".join(words[5:])) for words in shared})`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "True {('rw-s', '/dev/zero (deleted)')}\n");
    },
  },
  {
    name: "signals by a file's owner, a timer or a parent's death reach nobody outside",
    code: `${TRY_EACH}
import ctypes, fcntl, os, signal
read, write = os.pipe()
print({attempt(fcntl.fcntl, read, fcntl.F_SETOWN, pid) for pid in (300, 4_000, 30_000, -300)})
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(1, signal.SIGKILL, 0, 0, 0)
print(os.getppid())`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "{'ProcessLookupError'}\n1\n");
    },
    lesser: [
      {
        applies: underLandlock,
        because: "other processes have ids here, so that nobody may become the owner of a file's signals",
        contained([outcome], _session, here) {
          assert.equal(printedBy(outcome), here("{'PermissionError'}\nKEEPER\n"));
        },
      },
    ],
  },
  {
    name: "what one session writes into modules and memory that all inherit, no other one sees",
    code: [
      `
import ctypes, builtins, os, sys
builtins.mark_of_an_attack = 1
os.mark_of_an_attack = 1
sys.mark_of_an_attack = 1
text = sys.intern("a text that the attack interns")
small = 42
# The value of a small integer that every session inherits.
ctypes.memmove(id(101) + 24, (1).to_bytes(4, "little"), 4)`,
      "import builtins, os, sys\n[hasattr(m, 'mark_of_an_attack') for m in (builtins, os, sys)]",
    ],
    mayLoseState: true,
    async contained([_first, second], _session) {
      assert.deepEqual(second && resultOf(second), [true, true, true]);
    },
  },
  {
    name: "no variable, argument or file of the zygote tells about the runner",
    code: `
import os
words = open("/proc/self/cmdline").read().split("\\0") + open("/proc/self/environ").read().split("\\0")
print([word for word in words if "TOKEN" in word or "SECRET" in word or "KEY" in word], os.readlink("/proc/self/root"), os.getcwd())`,
    contained([outcome], _session, here) {
      assert.equal(printedBy(outcome), here("[] / /workspace\n"));
    },
  },
];
