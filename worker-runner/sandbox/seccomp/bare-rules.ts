/**
 * Owns which system calls a sandbox without namespaces refuses, on top of `seccomp-table.ts`: what namespaces would keep apart.
 *
 * Numbers: as in `seccomp-table.ts`.
 */
import {
  ABSENT,
  type Condition,
  EPERM,
  GUARDED,
  type Guarded,
  type Numbers,
  PRETENDED,
  REFUSED,
  type SeccompRules,
} from "./seccomp-table.ts";

const EOPNOTSUPP = 95;
const EAFNOSUPPORT = 97;

const AF_UNIX = 1;
const AF_INET = 2;
const ANY_PROTOCOL = 0;
/** IPPROTO_TCP; also the level of TCP's socket options. */
const TCP = 6;
/** All but SOCK_STREAM, SOCK_CLOEXEC and SOCK_NONBLOCK: a pair of another kind could send to any socket that has a path. */
const NOT_STREAM = 0xfff7_f7fe;
const PR_SET_DUMPABLE = 4;
const DUMPABLE = 1;
/** F_SETOWN, F_SETOWN_EX, FIOSETOWN and SIOCSPGRP name the process that gets the signals of a file, which may be any process. */
const SET_OWNER_BY_FCNTL = [8, 15];
const SET_OWNER_BY_IOCTL = [0x8901, 0x8902];

const APART_BY_NAMESPACES: Record<string, Numbers> = {
  // No socket at all: there is no network namespace, and Landlock does not keep a process from sockets that have a path.
  socket: [41, 198],
  connect: [42, 203],
  bind: [49, 200],
  listen: [50, 201],
  accept: [43, 202],
  accept4: [288, 242],
  // It takes the folder /proc/PID for a pidfd. A filter sees only the number of the descriptor, so it cannot spare the keeper alone.
  pidfd_send_signal: [424, 424],
  // Segments, queues and semaphores that other programs of this user have made already.
  shmat: [30, 196],
  shmctl: [31, 195],
  msgsnd: [69, 189],
  msgrcv: [70, 188],
  msgctl: [71, 187],
  semop: [65, 193],
  semtimedop: [220, 192],
  semctl: [66, 191],
  mq_unlink: [241, 181],
};

/**
 * Landlock has no rights for the mode, owner and times of a file. A session that shares its user with others could change those of
 * files that it cannot open. These calls succeed and do nothing, because programs that copy or unpack files give up if they fail.
 */
const CHANGES_OF_FILES: Record<string, Numbers> = {
  chmod: [90, null],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  fchmodat2: [452, 452],
  chown: [92, null],
  fchown: [93, 55],
  lchown: [94, null],
  fchownat: [260, 54],
  utime: [132, null],
  utimes: [235, null],
  futimesat: [261, null],
  utimensat: [280, 88],
};

const EXTENDED_ATTRIBUTES: Record<string, Numbers> = {
  setxattr: [188, 5],
  lsetxattr: [189, 6],
  fsetxattr: [190, 7],
  removexattr: [197, 14],
  lremovexattr: [198, 15],
  fremovexattr: [199, 16],
};

export interface BareSandbox {
  /** Whether each session has a user of its own. */
  hasOwnUser: boolean;
  /** Whether Landlock knows a right for cutting files off (its version 3). */
  hasTruncate: boolean;
  /** Whether there is a proxy: the warden then answers calls that make and connect TCP sockets. */
  hasProxy: boolean;
}

/** The rules for a sandbox that has Landlock and no namespaces. */
export function bareRules({ hasOwnUser, hasTruncate, hasProxy }: BareSandbox): SeccompRules {
  const shared = hasOwnUser ? {} : always(EXTENDED_ATTRIBUTES, EOPNOTSUPP);
  const { socket: _, ...guarded } = GUARDED;
  const { socket: newSocket, connect, ...apart } = APART_BY_NAMESPACES;
  if (!newSocket || !connect) throw new Error("the table has no such rule");
  const proxy: Record<string, Guarded> = hasProxy ? towardsProxy(newSocket, connect) : {};
  return {
    refused: {
      ...REFUSED,
      ...(hasProxy ? apart : APART_BY_NAMESPACES),
      ...(hasTruncate ? {} : { truncate: [76, 45] }),
    },
    absent: ABSENT,
    pretended: { ...PRETENDED, ...(hasOwnUser ? {} : CHANGES_OF_FILES) },
    guarded: {
      ...guarded,
      ...shared,
      ...proxy,
      socketpair: {
        numbers: [53, 199],
        errno: EAFNOSUPPORT,
        allowed: [
          [
            { argument: 0, equals: AF_UNIX },
            { argument: 1, lacks: NOT_STREAM },
          ],
        ],
      },
      fcntl: alsoDiffers(GUARDED.fcntl, 1, SET_OWNER_BY_FCNTL),
      ioctl: alsoDiffers(GUARDED.ioctl, 1, SET_OWNER_BY_IOCTL),
      // The descriptors of a process that is not dumpable are closed to the warden, which counts the files that they hold.
      prctl: orIf(alsoDiffers(GUARDED.prctl, 0, [PR_SET_DUMPABLE]), [
        { argument: 0, equals: PR_SET_DUMPABLE },
        { argument: 1, equals: DUMPABLE },
      ]),
    },
  };
}

/**
 * No socket of the Internet is ever made here: the warden answers `socket` with a connection to the session's proxy, and `connect`
 * with success for the proxy's own address. TCP's options do not exist on such a connection; HTTP libraries set them.
 */
function towardsProxy(socket: Numbers, connect: Numbers): Record<string, Guarded> {
  const asTcp = [ANY_PROTOCOL, TCP].map((protocol): Condition[] => [
    { argument: 0, equals: AF_INET },
    { argument: 1, lacks: NOT_STREAM },
    { argument: 2, equals: protocol },
  ]);
  return {
    socket: { numbers: socket, errno: EPERM, allowed: [], notified: asTcp },
    connect: { numbers: connect, errno: EPERM, allowed: [], notified: [[]] },
    setsockopt: { ...existing(GUARDED.setsockopt), pretended: [[{ argument: 1, equals: TCP }]] },
  };
}

function existing(rule: Guarded | undefined): Guarded {
  if (!rule) throw new Error("the table has no such rule");
  return rule;
}

function always(calls: Record<string, Numbers>, errno: number): Record<string, Guarded> {
  return Object.fromEntries(Object.entries(calls).map(([name, numbers]) => [name, { numbers, errno, allowed: [] }]));
}

function alsoDiffers(rule: Guarded | undefined, argument: number, values: readonly number[]): Guarded {
  const more = values.map((value): Condition => ({ argument, differs: value }));
  return { ...existing(rule), allowed: existing(rule).allowed.map((conditions) => [...conditions, ...more]) };
}

function orIf(rule: Guarded, conditions: readonly Condition[]): Guarded {
  return { ...rule, allowed: [...rule.allowed, conditions] };
}
