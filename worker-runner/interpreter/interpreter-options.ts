/** Owns what an interpreter must be told before it starts: its sandbox, and the deadlines of its answers. */
import type { SandboxOptions, StartSandbox } from "../sandbox/sandbox-contract.ts";

/** The settings of one interpreter. Times are in milliseconds. */
export interface InterpreterOptions {
  startSandbox: StartSandbox;
  sandbox: Omit<SandboxOptions, "id" | "channelDirectory">;
  makeSandboxId(): string;
  startDeadlineMs: number;
  /** For an answer that needs no user code to run; past it the sandbox is taken for broken. */
  answerDeadlineMs: number;
  /** Longest pause between two pieces of a checkpoint's blob. */
  serializerSilenceMs: number;
  /** For bringing a blob's state back. */
  loadDeadlineMs: number;
}
