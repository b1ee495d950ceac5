/**
 * Owns which system calls a sandbox without a network refuses, on top of `seccomp-table.ts`: UDP sockets. On cgroup version 1 the kernel
 * counts their buffers for nobody, so a session could fill the machine's memory with messages to itself.
 */
import {
  ABSENT,
  type Condition,
  GUARDED,
  type Guarded,
  PRETENDED,
  REFUSED,
  type SeccompRules,
} from "./seccomp-table.ts";

const INTERNET_FAMILIES = [2, 10];
/** Set in SOCK_DGRAM and SOCK_RAW, and not in SOCK_STREAM (linux/net.h). */
const NOT_STREAM = 2;

/** The rules for a sandbox that has namespaces and no network. */
export const OFFLINE_RULES: SeccompRules = {
  refused: REFUSED,
  absent: ABSENT,
  pretended: PRETENDED,
  guarded: { ...GUARDED, socket: streamsOnly(GUARDED.socket), socketpair: streamsOnly(GUARDED.socketpair) },
};

function streamsOnly(rule: Guarded | undefined): Guarded {
  if (!rule) throw new Error("the table has no such rule");
  const narrow = (conditions: readonly Condition[]): readonly Condition[] =>
    conditions.some(isInternet) ? [...conditions, { argument: 1, lacks: NOT_STREAM }] : conditions;
  return { ...rule, allowed: rule.allowed.map(narrow) };
}

function isInternet(condition: Condition): boolean {
  return condition.argument === 0 && "equals" in condition && INTERNET_FAMILIES.includes(condition.equals);
}
