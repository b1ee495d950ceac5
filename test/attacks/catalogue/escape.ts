/** Owns the attempts to reach what is not the session's: other processes, the kernel, the machine. */
import assert from "node:assert/strict";
import { ABSENT, REFUSED } from "../../../worker-runner/sandbox/seccomp/seccomp-table.ts";
import { sharesUser, underLandlock } from "../grade.ts";
import { assertFailed, printedBy, resultOf } from "../outcome.ts";
import type { Attack } from "./attack.ts";
import { TRY_EACH } from "./attempt.ts";

export const processEscapes: readonly Attack[] = [
  {
    name: "no process but the session's own is to be seen",
    code: `
import os
pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
words = {open(f"/proc/{pid}/cmdline").read().split("\\0")[0].rsplit("/", 1)[-1] for pid in pids}
print(max(pids) < 1000, words)`,
    contained([outcome]) {
      assert.match(printedBy(outcome), /^True \{'python[\d.]*'\}\n$/);
    },
    lesser: [
      {
        applies: underLandlock,
        because: "other processes and their command lines can be seen; their environment, memory and files cannot",
        code: `${TRY_EACH}
import os
def parent_of(pid):
    try: return int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
    except OSError: return 0
def is_own(pid):
    while pid > 1 and pid != KEEPER: pid = parent_of(pid)
    return pid == KEEPER
print({attempt(lambda: open(f"/proc/{pid}/{name}", "rb").read(1)) for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
    if not is_own(pid) for name in ("environ", "mem", "maps", "fd/0", "auxv")} - {"PermissionError", "FileNotFoundError", "ProcessLookupError"})`,
        contained([outcome]) {
          // Kernel threads have none of this, which reads as empty.
          assert.match(printedBy(outcome), /^(set\(\)|\{"done: b''"\})\n$/);
        },
      },
    ],
  },
  {
    name: "the keeper's environment, memory and descriptors are closed to user code",
    code: `${TRY_EACH}
import os
for name in ("environ", "mem", "maps", "fd/3", "cwd", "root", "exe", "stack", "syscall", "auxv"):
    print(attempt(lambda: open(f"/proc/KEEPER/{name}", "rb").read(1)))
print(attempt(os.listdir, "/proc/KEEPER/fd"), attempt(os.readlink, "/proc/KEEPER/exe"))`,
    contained([outcome]) {
      assert.doesNotMatch(printedBy(outcome), /done/);
    },
  },
  {
    name: "nobody writes into the memory of another process, not even of one's own",
    code: `${TRY_EACH}
import os
for name in os.listdir("/proc"):
    if name.isdigit():
        print(attempt(lambda: open(f"/proc/{name}/mem", "r+b")))
        print(attempt(lambda: open(f"/proc/{name}/oom_score_adj", "w")))`,
    contained([outcome]) {
      assert.doesNotMatch(printedBy(outcome), /done/);
    },
  },
  {
    name: "kill(-1) is refused, and the keeper takes no signal",
    code: `${TRY_EACH}
import os, signal
print(attempt(os.kill, -1, signal.SIGKILL))
for number in range(1, 65):
    if number not in (signal.SIGCHLD,):
        attempt(os.kill, KEEPER, number)
folder = os.open("/proc/KEEPER", os.O_RDONLY | os.O_DIRECTORY)
for number in (signal.SIGSTOP, signal.SIGKILL):
    attempt(signal.pidfd_send_signal, folder, number)
print("alive")`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "PermissionError\nalive\n");
    },
  },
  {
    name: "killing one's whole group, parent and every visible process costs the process and not the state",
    code: `
import os, signal
for pid in sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True):
    if pid != os.getpid():
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
os.kill(0, signal.SIGKILL)`,
    mayLoseState: true,
    contained([outcome]) {
      assert.equal(outcome?.end.type, "error");
    },
  },
  {
    name: "the keeper's limits, priority and group are not user code's to set",
    code: `${TRY_EACH}
import os, resource
print(attempt(resource.prlimit, KEEPER, resource.RLIMIT_CPU, (1, 1)))
print(attempt(resource.prlimit, KEEPER, resource.RLIMIT_NOFILE, (0, 0)))
print(attempt(os.setpriority, os.PRIO_PROCESS, KEEPER, 19))
print(attempt(os.setpriority, os.PRIO_USER, 0, 19))
print(attempt(os.sched_setaffinity, KEEPER, {0}))
print(attempt(os.sched_setscheduler, KEEPER, os.SCHED_IDLE, os.sched_param(0)))
print(attempt(os.setpgid, KEEPER, 0))`,
    contained([outcome]) {
      assert.doesNotMatch(printedBy(outcome), /done/);
    },
  },
  {
    name: "ending oneself in every way costs the process and not the state",
    code: [
      "import os; os._exit(0)",
      "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
      "import os; os.abort()",
      "import ctypes; ctypes.string_at(0)",
      "import ctypes; ctypes.CDLL(None).syscall(231, 7)",
      "import os; os.execv('/bin/true', ['true'])",
      "raise SystemExit(3)",
    ],
    contained(outcomes) {
      for (const outcome of outcomes.slice(0, 5)) {
        assert.equal(assertFailed(outcome, "process_died").state, "recovered");
      }
      assert.equal(outcomes[6]?.end.type, "error");
    },
  },
];

export const kernelEscapes: readonly Attack[] = [
  {
    name: "every refused system call is refused",
    code: `
import ctypes, errno, json
libc = ctypes.CDLL(None, use_errno=True)
column = 0 if ctypes.sizeof(ctypes.c_long) == 8 and __import__("os").uname().machine == "x86_64" else 1
answers = {}
for name, numbers in json.loads(${JSON.stringify(JSON.stringify({ ...REFUSED, ...ABSENT }))}).items():
    if numbers[column] is not None:
        libc.syscall(numbers[column], 0, 0, 0, 0, 0, 0)
        answers[name] = errno.errorcode[ctypes.get_errno()]
answers`,
    contained([outcome]) {
      const answers = resultOf(outcome) as Record<string, string>;
      for (const name of Object.keys(REFUSED)) if (name in answers) assert.equal(answers[name], "EPERM", name);
      for (const name of Object.keys(ABSENT)) if (name in answers) assert.equal(answers[name], "ENOSYS", name);
      assert.ok(Object.keys(answers).length > 60);
    },
  },
  {
    name: "files that sessions share are not to be watched",
    code: `${TRY_EACH}
import ctypes, errno, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
def ask(number):
    return "watched" if number >= 0 else errno.errorcode[ctypes.get_errno()]
print(ask(libc.inotify_init()), ask(libc.inotify_init1(0)), ask(libc.fanotify_init(0x200, 0)))
for folder in ("/usr/bin", os.path.dirname(os.__file__)):
    print(attempt(fcntl.fcntl, os.open(folder, os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_ACCESS))`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "ENOSYS ENOSYS EPERM\nPermissionError\nPermissionError\n");
    },
  },
  {
    name: "no new namespace, by clone or by unshare, and no call of another table",
    code: `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
def ask(*arguments):
    ctypes.set_errno(0)
    return libc.syscall(*map(ctypes.c_long, arguments)) < 0 and errno.errorcode[ctypes.get_errno()]
print([ask(CLONE, flag | 17, 0, 0, 0, 0) for flag in (1 << 17, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30)])
print(ask(CLONE, (1 << 28) | (1 << 40) | 17, 0, 0, 0, 0), ask(457), ask(10_000), ask((1 << 30) + 39))`,
    contained([outcome]) {
      const refused = Array(7).fill("'EPERM'").join(", ");
      assert.equal(printedBy(outcome), `[${refused}]\nEPERM ENOSYS ENOSYS ENOSYS\n`);
    },
  },
  {
    name: "code of another instruction set is ended",
    code: `
import ctypes, mmap, os
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))  # 32-bit getpid by int 0x80
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
call() if os.uname().machine == "x86_64" else os.abort()`,
    contained([outcome]) {
      assertFailed(outcome, "process_died");
    },
  },
  {
    name: "there is no capability, no way to gain one, and no other user to become",
    code: `${TRY_EACH}
import os, subprocess
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print({status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}, status["NoNewPrivs"], status["Seccomp"])
print(attempt(os.setuid, 0), attempt(os.setgid, 0), attempt(os.setgroups, [0]), attempt(os.chroot, "/"))
print(attempt(os.mknod, "/tmp/disk", 0o60600, os.makedev(254, 0)))
print(subprocess.run(["su", "-c", "id"], capture_output=True).returncode != 0)`,
    contained([outcome]) {
      const error = "PermissionError";
      const lines = printedBy(outcome).split("\n");
      assert.equal(lines[0], "{'0000000000000000'} 1 2");
      assert.doesNotMatch(lines.slice(1, 3).join(), /done/);
      assert.equal(lines[2], error);
      assert.equal(lines[3], "True");
    },
    lesser: [
      {
        applies: (grade) => underLandlock(grade) && sharesUser(grade),
        because: "an ordinary user cannot empty the bounding set, which gives nothing without new privileges",
        code: `${TRY_EACH}
import os, subprocess
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print({status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}, status["NoNewPrivs"], status["Seccomp"])
print(attempt(os.setuid, 0), attempt(os.setgid, 0), attempt(os.setgroups, [0]), attempt(os.chroot, "/"))
print(subprocess.run(["su", "-c", "id"], capture_output=True).returncode != 0)`,
        contained([outcome]) {
          const lines = printedBy(outcome).split("\n");
          assert.equal(lines[0], "{'0000000000000000'} 1 2");
          assert.doesNotMatch(lines[1] ?? "", /done/);
          assert.equal(lines[2], "True");
        },
      },
    ],
  },
  {
    name: "the kernel's settings are read-only, and its log, devices and terminals out of reach",
    code: `${TRY_EACH}
import os
print([attempt(open, path, "w") for path in (
    "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/user/max_user_namespaces",
    "/proc/self/uid_map", "/proc/self/setgroups", "/proc/self/attr/current", "/proc/sys/net/ipv4/ip_forward",
)])
print(sorted(os.listdir("/dev")), os.path.exists("/sys"))
print(attempt(os.openpty), attempt(open, "/dev/tty"), attempt(open, "/dev/kmsg"), attempt(open, "/proc/kcore", "rb"))`,
    contained([outcome]) {
      const lines = printedBy(outcome).split("\n");
      assert.doesNotMatch(`${lines[0]}${lines[2]}`, /done/);
      const devices = ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"];
      assert.equal(lines[1], `[${devices.map((name) => `'${name}'`).join(", ")}] False`);
    },
    lesser: [
      {
        applies: underLandlock,
        because: "the host's devices have names, but only five can be opened",
        code: `${TRY_EACH}
import os
print([attempt(open, path, "w") for path in (
    "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/user/max_user_namespaces",
    "/proc/self/uid_map", "/proc/self/setgroups", "/proc/self/attr/current", "/proc/sys/net/ipv4/ip_forward",
)], attempt(os.listdir, "/dev"), attempt(os.listdir, "/sys"), attempt(os.listdir, "/run"))
print(attempt(os.openpty), attempt(open, "/dev/tty"), attempt(open, "/dev/kmsg"), attempt(open, "/proc/kcore", "rb"), attempt(open, "/dev/fuse", "rb"))
print(attempt(open, "/dev/null", "w")[:4], attempt(open, "/dev/urandom", "rb")[:4])`,
        contained([outcome]) {
          const lines = printedBy(outcome).split("\n");
          assert.doesNotMatch(`${lines[0]}${lines[1]}`, /done/);
          assert.equal(lines[2], "done done");
        },
      },
    ],
  },
];

export const machineEscapes: readonly Attack[] = [
  {
    name: "a crash does not reach the host's crash handler, and no limit lets it",
    code: [
      `${TRY_EACH}
import resource, signal, os
print(resource.getrlimit(resource.RLIMIT_CORE))
print(attempt(resource.setrlimit, resource.RLIMIT_CORE, (0, 0)), attempt(resource.setrlimit, resource.RLIMIT_CORE, (1, 1)))
print(attempt(resource.prlimit, os.getpid(), resource.RLIMIT_CORE, (0, 0)))`,
      "import ctypes; ctypes.string_at(0)",
    ],
    contained([outcome, crash]) {
      assert.match(printedBy(outcome), /^\(1, 1\)\n\w+Error \w+Error\n\w+Error\n$/);
      assertFailed(crash, "process_died");
    },
  },
  {
    name: "what /proc tells about the machine is not told",
    code: `${TRY_EACH}
import os
def read(path):
    if os.path.isdir(path): return os.listdir(path)
    with open(path, "rb") as file: return file.read(1)
names = ("acpi", "cmdline", "config.gz", "diskstats", "interrupts", "iomem", "kallsyms", "kcore", "keys", "modules", "partitions", "timer_list")
print({answer for name in names if os.path.exists(f"/proc/{name}") for answer in [attempt(read, f"/proc/{name}")]} - {"done: []", "PermissionError"})`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "set()\n");
    },
    lesser: [
      {
        applies: underLandlock,
        because: "/proc is the host's: what it tells every user about the machine can be read",
        code: `${TRY_EACH}
print({attempt(lambda: open(path, "rb").read(1)) for path in ("/proc/kcore", "/proc/kmsg", "/proc/kpagecount", "/proc/slabinfo", "/proc/vmallocinfo")})
print({line.split()[0] for line in open("/proc/kallsyms")} if __import__("os").path.exists("/proc/kallsyms") else {"0"})`,
        contained([outcome]) {
          assert.doesNotMatch(outcome?.stdout ?? "", /done/);
        },
      },
    ],
  },
  {
    name: "flushing the machine's disks, logging its calls and idling its processors is refused or does nothing",
    code: `${TRY_EACH}
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
os.sync()
print(libc.syncfs(os.open("/usr/bin", os.O_RDONLY)), libc.prctl(62, 1, 0, 1, 0), libc.prctl(22, 1, 0, 0, 0))`,
    contained([outcome]) {
      assert.equal(printedBy(outcome), "0 -1 -1\n");
    },
  },
];
