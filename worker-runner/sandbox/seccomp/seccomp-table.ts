/**
 * Owns which system calls a sandbox refuses; how they become a program is left to `seccomp-filter.ts`.
 *
 * Numbers: Linux 6.18, arch/x86/entry/syscalls/syscall_64.tbl, and scripts/syscall.tbl for aarch64. What is refused follows the
 * container engines' common profile (moby, profiles/seccomp/default.json) and goes further where Python has no use for a call.
 */

export const EPERM = 1;
export const ENOSYS = 38;
export const EAFNOSUPPORT = 97;

/** The newest call that a sandbox may make (futex_requeue, Linux 6.7): a kernel may be newer than this table. */
export const NEWEST_CALL = 456;

/** Numbers on x86_64 and aarch64; null where the architecture has no such call. */
export type Numbers = readonly [number | null, number | null];

/** Calls that always fail with EPERM. */
export const REFUSED: Readonly<Record<string, Numbers>> = {
  // Rings and programs in the kernel: the source of most of its holes.
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  // Keyrings know users and no namespaces.
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  // Other processes' memory and descriptors.
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  process_mrelease: [448, 448],
  kcmp: [312, 272],
  pidfd_getfd: [438, 438],
  // Mounts and roots, by the old way and the new one.
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  fanotify_init: [300, 262],
  fanotify_mark: [301, 263],
  // Namespaces.
  unshare: [272, 97],
  setns: [308, 268],
  // The machine as a whole.
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  create_module: [174, null],
  query_module: [178, null],
  get_kernel_syms: [177, null],
  acct: [163, 89],
  swapon: [167, 224],
  swapoff: [168, 225],
  reboot: [169, 142],
  syslog: [103, 116],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  adjtimex: [159, 171],
  clock_adjtime: [305, 266],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  vhangup: [153, 58],
  lookup_dcookie: [212, 18],
  nfsservctl: [180, 42],
  _sysctl: [156, null],
  sysfs: [139, null],
  ustat: [136, null],
  uselib: [134, null],
  iopl: [172, null],
  ioperm: [173, null],
  modify_ldt: [154, null],
  // Memory policy, and pages lent to a pipe.
  mbind: [237, 235],
  set_mempolicy: [238, 237],
  get_mempolicy: [239, 236],
  set_mempolicy_home_node: [450, 450],
  migrate_pages: [256, 238],
  move_pages: [279, 239],
  vmsplice: [278, 75],
  // A filter of one's own can have the kernel log every call.
  seccomp: [317, 277],
  // Memory that outlives the process that filled it, and would keep a session full after it is rolled back.
  shmget: [29, 194],
  msgget: [68, 186],
  semget: [64, 190],
  mq_open: [240, 180],
};

/** Calls that fail as on a kernel without them, so that libraries take their older way. */
export const ABSENT: Readonly<Record<string, Numbers>> = {
  // Its flags lie in memory, where no filter sees them; libc falls back to clone.
  clone3: [435, 435],
  memfd_secret: [447, 447],
  // Sessions share the files of the system and of Python. A watch on them tells at once which ones other sessions open.
  inotify_init: [253, null],
  inotify_init1: [294, 26],
};

/** Calls that succeed and do nothing: they would have the whole machine write what it has in memory to its disks. */
export const PRETENDED: Readonly<Record<string, Numbers>> = {
  sync: [162, 81],
  syncfs: [306, 267],
};

/** One test of one argument. `differs`, `equals` and `lacks` look at its low 32 bits, which is all that these calls use. */
export type Condition =
  | { argument: number; equals: number }
  | { argument: number; differs: number }
  | { argument: number; lacks: number }
  | { argument: number; isNull: true };

export interface Guarded {
  numbers: Numbers;
  errno: number;
  /** The call goes through where every condition of any one list holds. */
  allowed: readonly (readonly Condition[])[];
  /** So, a process outside answers the call. */
  notified?: readonly (readonly Condition[])[];
  /** So, the call succeeds and does nothing. */
  pretended?: readonly (readonly Condition[])[];
}

/** All that a filter decides by. */
export interface SeccompRules {
  refused: Readonly<Record<string, Numbers>>;
  absent: Readonly<Record<string, Numbers>>;
  pretended: Readonly<Record<string, Numbers>>;
  guarded: Readonly<Record<string, Guarded>>;
}

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (linux/sched.h). */
const NEW_NAMESPACES = 0x7e02_0000;
const AF_UNIX = 1;
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
const INTERNET_FAMILIES = [2, 10];
/** Any, TCP, UDP: other numbers make the kernel load modules. */
const INTERNET_PROTOCOLS = [0, 6, 17];
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const TIOCSETD = 0x5423;
const EVERYONE = 0xffff_ffff;
const ASK_ONLY = 0xffff_ffff;
const OWN = 0;
const F_NOTIFY = 1026;
const SOL_SOCKET = 1;
/** SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF and SO_ATTACH_REUSEPORT_EBPF (asm-generic/socket.h). */
const ATTACH_PROGRAM = [26, 50, 51, 52];
const RLIMIT_CORE = 4;
const PR_SET_SECCOMP = 22;
const PR_SCHED_CORE = 62;

const sockets: Guarded["allowed"] = [
  [{ argument: 0, equals: AF_UNIX }],
  // vsock leads to the hypervisor, whatever the network namespace.
  ...INTERNET_FAMILIES.flatMap((family) =>
    INTERNET_PROTOCOLS.map((protocol) => [
      { argument: 0, equals: family },
      { argument: 2, equals: protocol },
    ]),
  ),
  // libc lists addresses by it.
  [
    { argument: 0, equals: AF_NETLINK },
    { argument: 2, equals: NETLINK_ROUTE },
  ],
];

/** Calls that are allowed with some arguments only. */
export const GUARDED: Readonly<Record<string, Guarded>> = {
  clone: { numbers: [56, 220], errno: EPERM, allowed: [[{ argument: 0, lacks: NEW_NAMESPACES }]] },
  socket: { numbers: [41, 198], errno: EAFNOSUPPORT, allowed: sockets },
  socketpair: { numbers: [53, 199], errno: EAFNOSUPPORT, allowed: sockets },
  personality: {
    numbers: [135, 92],
    errno: EPERM,
    allowed: [[{ argument: 0, equals: 0 }], [{ argument: 0, equals: ASK_ONLY }]],
  },
  ioctl: {
    numbers: [16, 29],
    errno: EPERM,
    allowed: [[TIOCSTI, TIOCLINUX, TIOCSETD].map((request) => ({ argument: 1, differs: request }))],
  },
  // The machine has a limited memory for compiled filters, which no control group counts: without it no session can start.
  setsockopt: {
    numbers: [54, 208],
    errno: EPERM,
    allowed: [
      [{ argument: 1, differs: SOL_SOCKET }],
      ATTACH_PROGRAM.map((option) => ({ argument: 2, differs: option })),
    ],
  },
  // An older way to watch a folder than inotify.
  fcntl: { numbers: [72, 25], errno: EPERM, allowed: [[{ argument: 1, differs: F_NOTIFY }]] },
  // Signals to all would end the session's snapshots together with the code that sends them.
  kill: { numbers: [62, 129], errno: EPERM, allowed: [[{ argument: 0, differs: EVERYONE }]] },
  // The keeper has the same user as user code: a processor limit of one second would end it, an idle priority would starve it.
  prlimit64: {
    numbers: [302, 261],
    errno: EPERM,
    allowed: [
      [
        { argument: 0, equals: OWN },
        { argument: 1, differs: RLIMIT_CORE },
      ],
      [{ argument: 2, isNull: true }],
    ],
  },
  // The limit of one byte keeps a crash from the host's own crash handler (core(5)).
  setrlimit: { numbers: [160, 164], errno: EPERM, allowed: [[{ argument: 0, differs: RLIMIT_CORE }]] },
  // Beside a process of another scheduling cookie, a processor's second thread stands idle.
  prctl: {
    numbers: [157, 167],
    errno: EPERM,
    allowed: [
      [
        { argument: 0, differs: PR_SET_SECCOMP },
        { argument: 0, differs: PR_SCHED_CORE },
      ],
    ],
  },
  setpriority: {
    numbers: [141, 140],
    errno: EPERM,
    allowed: [
      [
        { argument: 0, equals: 0 },
        { argument: 1, equals: OWN },
      ],
    ],
  },
  ioprio_set: {
    numbers: [251, 30],
    errno: EPERM,
    allowed: [
      [
        { argument: 0, equals: 1 },
        { argument: 1, equals: OWN },
      ],
    ],
  },
  sched_setscheduler: { numbers: [144, 119], errno: EPERM, allowed: [[{ argument: 0, equals: OWN }]] },
  sched_setparam: { numbers: [142, 118], errno: EPERM, allowed: [[{ argument: 0, equals: OWN }]] },
  sched_setaffinity: { numbers: [203, 122], errno: EPERM, allowed: [[{ argument: 0, equals: OWN }]] },
  sched_setattr: { numbers: [314, 274], errno: EPERM, allowed: [[{ argument: 0, equals: OWN }]] },
};
