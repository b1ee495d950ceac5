/** Owns the interface of a session. Its users are the library's caller and the link to the edge. */
import type { z } from "zod";
import type { ExecuteMessage } from "../../src/protocol/client-message.ts";
import type { ExecutionEvent } from "../../src/protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../src/protocol/identity.ts";
import type { BlobPiece, LinkRequest, RunnerSessionState } from "../../src/protocol/link.ts";
import type { Completeness, Completions } from "../../src/protocol/server-message.ts";
import type { VariableList } from "../../src/protocol/session-resource.ts";
import type { Missing, PendingInput, PendingToolCall } from "../../src/protocol/session-state.ts";
import type { ToolResult } from "../../src/protocol/tool.ts";
import type { FileProcess } from "../interpreter/file-process.ts";
import type { NumberedEvent } from "./events/numbered-event.ts";
import type { KeptOutput } from "./events/output-retention.ts";

export type { KeptOutput, NumberedEvent };

/** A session calls its listeners in order. A listener must not throw. */
export interface SessionListener {
  event?(event: NumberedEvent): void;
  /** An execution has begun and published nothing for 20 ms. Otherwise its first event says when it began. */
  started?(executionId: ExecutionId, startedAt: number): void;
  state?(state: "restored" | "reset" | "ended", reason: string): void;
  /** False once nothing runs or waits. */
  busy?(isBusy: boolean): void;
}

/** What to run. Without `id`, the session makes one. A known id with the same code runs nothing. */
export type ExecuteRequest = Omit<z.input<typeof ExecuteMessage>, "type">;

/** A request that was parsed already. */
export type Submission = Pick<
  Extract<LinkRequest, { type: "execute" }>,
  | "execution_id"
  | "code"
  | "transaction_policy"
  | "report_files"
  | "tools"
  | "max_tool_calls"
  | "max_parallel_tool_calls"
> & { timeout?: number | undefined };

export interface CheckpointTaken {
  checkpointId: CheckpointId;
  /** The blob's file outside the sandbox. The session removes it at `dropCheckpoint`, or at its own end. */
  blobPath: string;
  size: number;
  sha256: string;
  /** The blob, cut where its content says. */
  pieces: readonly BlobPiece[];
  skipped: Missing[];
  /** What is installed in the session, as pip's requirements. */
  packages: readonly string[];
  /** Seconds for which the session could not run code. */
  pause: number;
}

/** The activity of a session. */
export interface SessionActivity {
  state: z.infer<typeof RunnerSessionState>;
  lastSeq: number;
  running: ExecutionId | null;
  /** Unix seconds at which the running execution began. */
  runningSince: number | null;
  queued: ExecutionId[];
  pendingInput: PendingInput | null;
  pendingToolCalls: PendingToolCall[];
}

export interface SessionStatus extends SessionActivity {
  residentBytes: number | null;
  limitBytes: number | null;
  snapshots: number;
  /** The executions whose state before can be brought back, newest first. */
  undo: ExecutionId[];
  /** What is installed in the session, as pip's requirements. */
  packages: readonly string[];
}

/** One Python state in its own process. `session.ts` implements it. */
export interface SessionContract {
  readonly id: string;
  /**
   * Queues code and yields its events in order; the last one is `result` or `error`.
   * Leaving the loop early cancels the execution.
   *
   * @throws SessionError `invalid_call`, `queue_full`, `payload_too_large`, `idempotency_conflict`, `ended`.
   */
  execute(request: ExecuteRequest): AsyncIterable<ExecutionEvent>;
  /** Queues code whose request was parsed already. Its events reach the listeners only. Same errors as `execute`. */
  enqueue(submission: Submission): void;
  /** @returns a function that ends the subscription. */
  subscribe(listener: SessionListener): () => void;
  /** Makes the next event's seq `base + 1`; only before the first event. */
  numberFrom(base: number): void;
  /** Stops or resumes reading Python's output. While it is paused, Python blocks in `write`. */
  pauseOutput(): void;
  resumeOutput(): void;
  /** Cuts output into frames at most `bytes` long, but not into pieces shorter than 256 characters; 0: no limit. */
  limitFrames(bytes: number): void;
  /**
   * Says how much of each execution's output is of use. Past `headBytes`, output is held back; its last `tailBytes` are published with
   * the next input request or terminal event, and `output_truncated` counts the bytes in between. null: all output is of use.
   */
  keepOutput(kept: KeptOutput): void;
  /** @returns false if nothing waits for `inputId`. */
  inputResponse(inputId: string, value: string | null): boolean;
  /** The first answer counts. @returns false if no tool call of that id waits. */
  toolResult(result: ToolResult): boolean;
  /** @returns the execution that was interrupted, or null if nothing runs. */
  interrupt(): ExecutionId | null;
  /** Ends a queued execution without running it, or interrupts a running one. @returns false if it is unknown or has ended. */
  cancel(executionId: ExecutionId): boolean;
  /**
   * Ends every queued execution without running it, and interrupts the running one.
   *
   * @param cleanUpMs how long code may run on that has noticed the interrupt; absent: as after any other interrupt.
   */
  cancelAll(cleanUpMs?: number): void;
  /** Ends every execution, then starts a fresh interpreter. Checkpoints are kept. */
  reset(): Promise<void>;
  complete(code: string, cursor: number): Promise<z.infer<typeof Completions>>;
  isComplete(code: string): Promise<z.infer<typeof Completeness>>;
  /** The variables of user code. Waits for its turn. */
  variables(): Promise<VariableList>;
  /** Replaces the environment variables that the client keeps for the session; each execution from now on finds them. */
  setEnv(values: Readonly<Record<string, string>>): void;
  /** Waits for its turn, pauses the session for a fork, and resolves when the blob is written. */
  checkpoint(checkpointId?: CheckpointId): Promise<CheckpointTaken>;
  /**
   * Waits for its turn. Uses the snapshot if it is alive, otherwise the blob at `blobPath` or the session's own blob.
   *
   * @throws SessionError `checkpoint_unavailable` (no snapshot and no blob), `checkpoint_invalid`.
   */
  restore(
    checkpointId: CheckpointId,
    options?: { clearExisting?: boolean; blobPath?: string },
  ): Promise<{ source: "snapshot" | "stored"; missing: Missing[] }>;
  /**
   * Waits for its turn, then brings back the state right before an execution; null: before the last execution that has a copy.
   *
   * @returns that execution.
   * @throws SessionError `undo_unavailable`.
   */
  undo(executionId: ExecutionId | null): Promise<ExecutionId>;
  /**
   * Starts a process for one call on the files of the workspace, also while code runs. The caller must close it.
   *
   * @throws SessionError `queue_full`, `deadline`, `interpreter_died`, `ended`.
   */
  openFiles(): Promise<FileProcess>;
  /** Forgets snapshot and blob. */
  dropCheckpoint(checkpointId: CheckpointId): void;
  /** Removes the blob's file, because it is stored elsewhere now. The snapshot stays for a fast restore. */
  dropBlob(checkpointId: CheckpointId): void;
  readonly activity: SessionActivity;
  /** The activity and the memory in use. */
  status(): Promise<SessionStatus>;
  /** Ends every process of the session and removes its files. Safe to call twice. */
  shutdown(): Promise<void>;
}
