/** Owns the proof that the seccomp program decides as its table says, on both architectures; that the kernel agrees is the attack suite's. */
import { expect, it } from "vitest";
import { bareRules } from "../../../../worker-runner/sandbox/seccomp/bare-rules.ts";
import { OFFLINE_RULES } from "../../../../worker-runner/sandbox/seccomp/offline-rules.ts";
import { hasSeccompTable, seccompProgram } from "../../../../worker-runner/sandbox/seccomp/seccomp-filter.ts";
import {
  ABSENT,
  GUARDED,
  NEWEST_CALL,
  PRETENDED,
  REFUSED,
} from "../../../../worker-runner/sandbox/seccomp/seccomp-table.ts";

const ALLOW = 0x7fff0000;
const END_PROCESS = 0x80000000;
const SUCCESS = 0x50000;
const EPERM = 0x50001;
const ENOSYS = 0x50026;
const EAFNOSUPPORT = 0x50061;
const architectures = [
  ["x64", 0, 0xc000003e],
  ["arm64", 1, 0xc00000b7],
] as const;

/** What the kernel would do: runs the program on one call. */
function decide(program: Buffer, audit: number, call: number, parameters: readonly bigint[] = []): number {
  const words = Buffer.alloc(64);
  words.writeUInt32LE(call, 0);
  words.writeUInt32LE(audit, 4);
  parameters.forEach((parameter, index) => {
    words.writeBigUInt64LE(BigInt.asUintN(64, parameter), 16 + 8 * index);
  });
  let accumulator = 0;
  for (let at = 0; at < program.length; at += 8) {
    const operation = program.readUInt16LE(at);
    const operand = program.readUInt32LE(at + 4);
    const jump = (isTrue: boolean) => {
      at += 8 * program.readUInt8(at + (isTrue ? 2 : 3));
    };
    if (operation === 0x06) return operand;
    if (operation === 0x20) accumulator = words.readUInt32LE(operand);
    else if (operation === 0x15) jump(accumulator === operand);
    else if (operation === 0x25) jump(accumulator > operand);
    else if (operation === 0x45) jump((accumulator & operand) !== 0);
    else throw new Error(`operation ${operation}`);
  }
  throw new Error("fell off the end");
}

it.each(architectures)("refuses what the table refuses, and nothing else, on %s", (architecture, column, audit) => {
  const program = seccompProgram(architecture);
  const numbersOf = (table: Record<string, readonly [number | null, number | null]>) =>
    new Set(Object.values(table).map((numbers) => numbers[column]));
  const refused = numbersOf(REFUSED);
  const absent = numbersOf(ABSENT);
  const pretended = numbersOf(PRETENDED);
  const guarded = new Set(Object.values(GUARDED).map(({ numbers }) => numbers[column]));
  for (let call = 0; call <= NEWEST_CALL; call += 1) {
    if (guarded.has(call)) continue;
    const expected = refused.has(call) ? EPERM : absent.has(call) ? ENOSYS : pretended.has(call) ? SUCCESS : ALLOW;
    expect(decide(program, audit, call), `call ${call}`).toBe(expected);
  }
});

it.each(architectures)("takes newer calls, and those of x32, for absent on %s", (architecture, _column, audit) => {
  const program = seccompProgram(architecture);
  expect(decide(program, audit, NEWEST_CALL)).toBe(ALLOW);
  expect(decide(program, audit, NEWEST_CALL + 1)).toBe(ENOSYS);
  expect(decide(program, audit, 0x4000_0000)).toBe(ENOSYS);
  expect(decide(program, audit, 0xffff_ffff)).toBe(ENOSYS);
});

it("ends a process that calls by another architecture's table", () => {
  expect(decide(seccompProgram("x64"), 0x40000003, 20)).toBe(END_PROCESS);
  expect(decide(seccompProgram("arm64"), 0xc000003e, 20)).toBe(END_PROCESS);
});

const ALL_ONES = -1n;
const cases: [string, keyof typeof GUARDED & string, bigint[], number][] = [
  ["a thread", "clone", [0x3d0f00n], ALLOW],
  ["a user namespace", "clone", [0x1000_0011n], EPERM],
  ["a mount namespace, with bits that the kernel ignores", "clone", [0x1_0002_0000n], EPERM],
  ["a local socket", "socket", [1n, 1n, 0n], ALLOW],
  ["TCP", "socket", [2n, 1n, 6n], ALLOW],
  ["UDP over IPv6", "socket", [10n, 2n, 17n], ALLOW],
  ["SCTP", "socket", [2n, 1n, 132n], EAFNOSUPPORT],
  ["a route socket", "socket", [16n, 3n, 0n], ALLOW],
  ["an audit socket", "socket", [16n, 3n, 9n], EAFNOSUPPORT],
  ["vsock", "socket", [40n, 1n, 0n], EAFNOSUPPORT],
  ["a pair of local sockets", "socketpair", [1n, 1n, 0n], ALLOW],
  ["typing into a terminal", "ioctl", [0n, 0x5412n], EPERM],
  ["typing into a terminal, with bits that the kernel ignores", "ioctl", [0n, 0x7_0000_5412n], EPERM],
  ["a terminal's size", "ioctl", [0n, 0x5413n], ALLOW],
  ["a signal to all", "kill", [ALL_ONES, 9n], EPERM],
  ["a signal to all, as 32 bits", "kill", [0xffff_ffffn, 9n], EPERM],
  ["a signal to one's group", "kill", [0n, 9n], ALLOW],
  ["a signal to a process", "kill", [7n, 9n], ALLOW],
  ["one's own limits", "prlimit64", [0n, 7n, 0x7fff_0000n], ALLOW],
  ["the limit on core files, to set", "setrlimit", [4n, 0x7fff_0000n], EPERM],
  ["the limit on core files, to set by the newer call", "prlimit64", [0n, 4n, 0x7fff_0000n], EPERM],
  ["the limit on core files, to read", "prlimit64", [0n, 4n, 0n], ALLOW],
  ["a process's name", "prctl", [15n, 0n], ALLOW],
  ["a filter of one's own", "prctl", [22n, 2n], EPERM],
  ["a scheduling cookie", "prctl", [62n, 1n], EPERM],
  ["another's limits, to read", "prlimit64", [1n, 7n, 0n], ALLOW],
  ["another's limits, to set", "prlimit64", [1n, 7n, 0x7fff_0000n], EPERM],
  ["another's limits, to set from a page at 4 GiB", "prlimit64", [1n, 7n, 0x1_0000_0000n], EPERM],
  ["a filter on a socket", "setsockopt", [3n, 1n, 26n], EPERM],
  [
    "a filter on a socket, with bits that the kernel ignores",
    "setsockopt",
    [3n, 0x1_0000_0001n, 0x1_0000_001an],
    EPERM,
  ],
  ["a loaded program on a socket", "setsockopt", [3n, 1n, 50n], EPERM],
  ["a filter on sockets of one port", "setsockopt", [3n, 1n, 51n], EPERM],
  ["a loaded program on sockets of one port", "setsockopt", [3n, 1n, 52n], EPERM],
  ["a socket's buffer", "setsockopt", [3n, 1n, 8n], ALLOW],
  ["an option of TCP with the number of a filter's", "setsockopt", [3n, 6n, 26n], ALLOW],
  ["a watch on a folder", "fcntl", [3n, 1026n], EPERM],
  ["a descriptor's flags", "fcntl", [3n, 4n], ALLOW],
  ["one's own processors", "sched_setaffinity", [0n, 8n], ALLOW],
  ["another's processors", "sched_setaffinity", [1n, 8n], EPERM],
  ["one's own priority", "setpriority", [0n, 0n, 5n], ALLOW],
  ["another's priority", "setpriority", [0n, 1n, 5n], EPERM],
  ["everybody's priority", "setpriority", [2n, 0n, 5n], EPERM],
  ["asking for the personality", "personality", [0xffff_ffffn], ALLOW],
  ["a personality without address randomisation", "personality", [0x40000n], EPERM],
];

it.each(architectures)(
  "refuses UDP without a network, and lets TCP and local sockets be, on %s",
  (architecture, column, audit) => {
    const program = seccompProgram(architecture, OFFLINE_RULES);
    const flags = 0x80800n;
    for (const name of ["socket", "socketpair"] as const) {
      const call = GUARDED[name]?.numbers[column] ?? -1;
      const ask = (...call_arguments: bigint[]) => decide(program, audit, call, call_arguments);
      for (const family of [2n, 10n]) {
        expect([ask(family, 1n, 0n), ask(family, 1n | flags, 6n)]).toEqual([ALLOW, ALLOW]);
        for (const kind of [2n, 3n, 2n | flags]) expect(ask(family, kind, 0n)).toBe(EAFNOSUPPORT);
        expect(ask(family, 2n, 17n)).toBe(EAFNOSUPPORT);
      }
      expect([ask(1n, 2n, 0n), ask(16n, 3n, 0n), ask(16n, 3n, 9n)]).toEqual([ALLOW, ALLOW, EAFNOSUPPORT]);
    }
  },
);

it.each(architectures)("looks at what a call is asked to do on %s", (architecture, column, audit) => {
  const program = seccompProgram(architecture);
  for (const [what, name, parameters, expected] of cases) {
    const number = GUARDED[name]?.numbers[column];
    if (number == null) throw new Error(name);
    expect(decide(program, audit, number, parameters), what).toBe(expected);
  }
});

it("has a table for the architectures that it compiles for, and no other", () => {
  expect(["x64", "arm64", "riscv64"].map(hasSeccompTable)).toEqual([true, true, false]);
});

it("closes without namespaces what they would keep apart", () => {
  const [own, shared] = [true, false].map((hasOwnUser) =>
    seccompProgram("x64", bareRules({ hasOwnUser, hasTruncate: hasOwnUser, hasProxy: false })),
  ) as [Buffer, Buffer];
  const x64 = 0xc000003e;
  const [UNIX, STREAM, DGRAM, SEQPACKET, CLOEXEC_NONBLOCK] = [1n, 1n, 2n, 5n, 0x80800n];
  for (const program of [own, shared]) {
    for (const call of [41, 42, 49, 50, 43, 288, 30, 65]) expect(decide(program, x64, call, [UNIX])).toBe(EPERM);
    expect(decide(program, x64, 53, [UNIX, STREAM | CLOEXEC_NONBLOCK])).toBe(ALLOW);
    for (const kind of [DGRAM, SEQPACKET]) expect(decide(program, x64, 53, [UNIX, kind])).toBe(EAFNOSUPPORT);
    expect(decide(program, x64, 53, [2n, STREAM])).toBe(EAFNOSUPPORT);
    for (const command of [8n, 15n, 1026n]) expect(decide(program, x64, 72, [3n, command])).toBe(EPERM);
    for (const request of [0x8901n, 0x8902n, 0x5412n]) expect(decide(program, x64, 16, [3n, request])).toBe(EPERM);
    // A process stays dumpable, and no filter is added.
    expect(decide(program, x64, 157, [4n, 0n])).toBe(EPERM);
    expect(decide(program, x64, 157, [4n, 1n])).toBe(ALLOW);
    expect(decide(program, x64, 157, [22n])).toBe(EPERM);
    expect(decide(program, x64, 157, [38n])).toBe(ALLOW);
  }
  // chmod, setxattr, truncate
  expect([90, 188, 76].map((call) => decide(own, x64, call))).toEqual([ALLOW, ALLOW, ALLOW]);
  expect([90, 188, 76].map((call) => decide(shared, x64, call))).toEqual([SUCCESS, 0x5005f, EPERM]);
});

it("hands TCP sockets to the warden if there is a proxy, and opens nothing else", () => {
  const NOTIFY = 0x7fc00000;
  for (const [architecture, column, audit] of architectures) {
    const without = seccompProgram(architecture, bareRules({ hasOwnUser: true, hasTruncate: true, hasProxy: false }));
    const program = seccompProgram(architecture, bareRules({ hasOwnUser: true, hasTruncate: true, hasProxy: true }));
    const [socket, connect, setsockopt] = (
      [
        [41, 198],
        [42, 203],
        [54, 208],
      ] as const
    ).map((both) => both[column]) as [number, number, number];
    for (const kind of [1n, 0x80801n]) {
      for (const protocol of [0n, 6n]) expect(decide(program, audit, socket, [2n, kind, protocol])).toBe(NOTIFY);
    }
    // UDP, raw, IPv6, local, SCTP
    for (const call of [
      [2n, 2n, 0n],
      [2n, 3n, 1n],
      [10n, 1n, 0n],
      [1n, 1n, 0n],
      [2n, 1n, 132n],
    ]) {
      expect(decide(program, audit, socket, call)).toBe(EPERM);
    }
    expect(decide(program, audit, connect, [3n])).toBe(NOTIFY);
    expect(decide(program, audit, setsockopt, [3n, 6n, 1n])).toBe(SUCCESS);
    expect(decide(program, audit, setsockopt, [3n, 1n, 26n])).toBe(EPERM);
    for (let call = 0; call <= NEWEST_CALL; call += 1) {
      if ([socket, connect, setsockopt].includes(call)) continue;
      expect(decide(program, audit, call), `call ${call}`).toBe(decide(without, audit, call));
    }
  }
});
