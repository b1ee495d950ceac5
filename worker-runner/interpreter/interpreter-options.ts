/** Owns the settings of an interpreter: its sandbox, and the deadlines of its answers. */
import type { SandboxOptions, StartSandbox } from "../sandbox/sandbox-contract.ts";
import type { PackageIndex } from "./package-index.ts";

/** The way out for code in one sandbox, on a socket of its own. */
export interface EgressDoor {
  /** Ends every connection. */
  close(): Promise<void>;
}

/** The settings of one interpreter. Times are in milliseconds. */
export interface InterpreterOptions {
  startSandbox: StartSandbox;
  sandbox: Omit<SandboxOptions, "id" | "channelDirectory">;
  makeSandboxId(): string;
  startDeadlineMs: number;
  /** For an answer that runs no user code. If it passes, the sandbox counts as broken. */
  answerDeadlineMs: number;
  /** Longest pause between two pieces of a checkpoint's blob. */
  serializerSilenceMs: number;
  /** Longest silence of a process that works on files. */
  fileSilenceMs: number;
  /** For loading a blob, without the packages that it brings back. */
  loadDeadlineMs: number;
  /** Where packages come from; null: none can be installed. */
  packageIndex: PackageIndex | null;
  /** What user code may reach; null: nothing. */
  egress: { open(path: string): Promise<EgressDoor> } | null;
}
