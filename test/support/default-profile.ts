/**
 * Owns the rights that a container has by default, for tests without an engine: the system calls and capabilities that Docker leaves to
 * a container, and a program that gives up all others.
 *
 * Source: moby, profiles/seccomp/default.json (commit 00f3d18), for a container without added capabilities.
 */
import { arch } from "node:os";
import { hasSeccompTable, seccompProgram } from "../../worker-runner/sandbox/seccomp/seccomp-filter.ts";
import { GUARDED, REFUSED } from "../../worker-runner/sandbox/seccomp/seccomp-table.ts";

/** Calls that the profile leaves out, or allows only with a capability that a container does not have by default. */
const NOT_ALLOWED = [
  ...[
    "acct",
    "add_key",
    "bpf",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
  ],
  ...[
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "get_mempolicy",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
  ],
  ...[
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
  ],
  ...[
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
  ],
  ...["query_module", "quotactl", "quotactl_fd", "reboot", "request_key", "set_mempolicy", "set_mempolicy_home_node"],
  ...[
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "_sysctl",
    "sysfs",
    "syslog",
    "umount2",
  ],
  ...["unshare", "uselib", "userfaultfd", "ustat", "vhangup"],
];

const AF_VSOCK = 40;
const PERSONALITIES = [0, 8, 131_072, 131_080, 0xffff_ffff];

/** The profile's seccomp program, or null on a machine without a table of system calls. */
function defaultFilter(): Buffer | null {
  const architecture = arch();
  const { clone, socket, personality } = GUARDED;
  if (!hasSeccompTable(architecture) || !clone || !socket || !personality) return null;
  return seccompProgram(architecture, {
    refused: Object.fromEntries(Object.entries(REFUSED).filter(([name]) => NOT_ALLOWED.includes(name))),
    absent: { clone3: [435, 435] },
    pretended: {},
    guarded: {
      clone,
      socket: { ...socket, errno: 1, allowed: [[{ argument: 0, differs: AF_VSOCK }]] },
      personality: { ...personality, allowed: PERSONALITIES.map((value) => [{ argument: 0, equals: value }]) },
    },
  });
}

/** As root: takes the filter, then the user, and runs a command. An ordinary user of a container has no capability and no new privileges. */
const GIVE_UP = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Program(ctypes.Structure): _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))
text = bytes.fromhex(sys.argv[1]); user = int(sys.argv[2])
program = Program(len(text) // 8, text)
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()
for capability in range(64):
    if capability not in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31): libc.prctl(24, capability, 0, 0, 0)
os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
os.execvp(sys.argv[3], sys.argv[3:])`;

/** The command line that runs a command as a user with the rights of a container; it must be started by root. */
export function inDefaultProfile(uid: number, command: readonly string[]): string[] {
  const filter = defaultFilter();
  if (filter === null) throw new Error(`no table of system calls for ${arch()}`);
  return ["/usr/bin/python3", "-I", "-c", GIVE_UP, filter.toString("hex"), `${uid}`, ...command];
}
