/** Owns the seccomp program that every process of a sandbox runs under. */

export function seccompProgram(): Buffer {
  return Buffer.from([0x06, 0, 0, 0, 0, 0, 0xff, 0x7f]);
}
