/** Owns the seccomp program that every process of a sandbox runs under: classic BPF, compiled from `seccomp-table.ts` or `bare-rules.ts`. */
import {
  ABSENT,
  type Condition,
  ENOSYS,
  EPERM,
  GUARDED,
  NEWEST_CALL,
  PRETENDED,
  REFUSED,
  type SeccompRules,
} from "./seccomp-table.ts";

export type Architecture = "x64" | "arm64";

/** Column in the table, and AUDIT_ARCH_X86_64 or AUDIT_ARCH_AARCH64 (linux/audit.h). */
const ARCHITECTURES = { x64: { column: 0, audit: 0xc000_003e }, arm64: { column: 1, audit: 0xc000_00b7 } } as const;

// linux/bpf_common.h
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_BITS = 0x45;
const RETURN = 0x06;

// linux/seccomp.h
const ALLOW = 0x7fff_0000;
const FAIL = 0x0005_0000;
const NOTIFY = 0x7fc0_0000;
const END_PROCESS = 0x8000_0000;

/** struct seccomp_data: call, architecture, instruction pointer, six arguments of 64 bits. */
const CALL = 0;
const ARCHITECTURE = 4;
const lowWordOf = (argument: number) => 16 + 8 * argument;
const highWordOf = (argument: number) => lowWordOf(argument) + 4;

/** Operation, jump if true, jump if false, operand. */
type Instruction = readonly [number, number, number, number];

const load = (offset: number): Instruction => [LOAD, 0, 0, offset];
const fail = (errno: number): Instruction => [RETURN, 0, 0, FAIL | errno];
const allow: Instruction = [RETURN, 0, 0, ALLOW];
const notify: Instruction = [RETURN, 0, 0, NOTIFY];

/** Whether a filter exists for this machine. */
export function hasSeccompTable(architecture: string): architecture is Architecture {
  return architecture in ARCHITECTURES;
}

/** What a sandbox with namespaces of its own refuses. */
const IN_NAMESPACES: SeccompRules = { refused: REFUSED, absent: ABSENT, pretended: PRETENDED, guarded: GUARDED };

/** @returns an array of struct sock_filter, as bubblewrap's `--seccomp` reads it. */
export function seccompProgram(architecture: Architecture, rules: SeccompRules = IN_NAMESPACES): Buffer {
  const { column, audit } = ARCHITECTURES[architecture];
  const instructions: Instruction[] = [
    load(ARCHITECTURE),
    // Code of another instruction set (int 0x80) would mean other calls by the same numbers.
    [JUMP_EQUAL, 1, 0, audit],
    [RETURN, 0, 0, END_PROCESS],
    load(CALL),
    // Newer calls than the table knows; x32 calls, which begin at 2^30, are among them.
    ...when(JUMP_GREATER, NEWEST_CALL, [fail(ENOSYS)]),
  ];
  const refuse = (numbers: readonly (number | null)[], errno: number) => {
    const number = numbers[column];
    if (number != null) instructions.push(...when(JUMP_EQUAL, number, [fail(errno)]));
  };
  for (const numbers of Object.values(rules.refused)) refuse(numbers, EPERM);
  for (const numbers of Object.values(rules.absent)) refuse(numbers, ENOSYS);
  for (const numbers of Object.values(rules.pretended)) refuse(numbers, 0);
  for (const { numbers, errno, allowed, notified = [], pretended = [] } of Object.values(rules.guarded)) {
    const number = numbers[column];
    const block = [
      ...pretended.flatMap((conditions) => endIf(conditions, fail(0))),
      ...notified.flatMap((conditions) => endIf(conditions, notify)),
      ...allowed.flatMap((conditions) => endIf(conditions, allow)),
      fail(errno),
    ];
    if (number != null) instructions.push(...when(JUMP_EQUAL, number, block));
  }
  instructions.push(allow);
  return encode(instructions);
}

/** Runs the block where the accumulator stands so to the operand; otherwise goes on behind it. */
function when(jump: number, operand: number, block: Instruction[]): Instruction[] {
  return [[jump, 0, block.length, operand], ...block];
}

/** Ends with this answer where every condition holds; otherwise goes on behind. */
function endIf(conditions: readonly Condition[], answer: Instruction): Instruction[] {
  let block: Instruction[] = [answer];
  for (const condition of [...conditions].reverse()) block = [...testOf(condition, block.length), ...block];
  return block;
}

/** Falls through to the next instruction where the condition holds; otherwise skips `rest` more. */
function testOf(condition: Condition, rest: number): Instruction[] {
  const low = load(lowWordOf(condition.argument));
  if ("equals" in condition) return [low, [JUMP_EQUAL, 0, rest, condition.equals]];
  if ("differs" in condition) return [low, [JUMP_EQUAL, rest, 0, condition.differs]];
  if ("lacks" in condition) return [low, [JUMP_BITS, rest, 0, condition.lacks]];
  return [low, [JUMP_EQUAL, 0, rest + 2, 0], load(highWordOf(condition.argument)), [JUMP_EQUAL, 0, rest, 0]];
}

function encode(instructions: readonly Instruction[]): Buffer {
  const program = Buffer.alloc(instructions.length * 8);
  instructions.forEach(([operation, ifTrue, ifFalse, operand], index) => {
    program.writeUInt16LE(operation, index * 8);
    program.writeUInt8(ifTrue, index * 8 + 2);
    program.writeUInt8(ifFalse, index * 8 + 3);
    program.writeUInt32LE(operand >>> 0, index * 8 + 4);
  });
  return program;
}
