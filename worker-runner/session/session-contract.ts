/** Owns the shapes that a session of the runner offers to whoever uses it: the local library's user, and the link to the edge. */
import type { z } from "zod";
import type { ExecuteMessage } from "../../src/protocol/client-message.ts";
import type { ExecutionEvent } from "../../src/protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../src/protocol/identity.ts";
import type { RunnerSessionState } from "../../src/protocol/link.ts";
import type { Completeness, Completions, Missing, PendingInput } from "../../src/protocol/server-message.ts";
import type { NumberedEvent } from "./events/numbered-event.ts";

export type { NumberedEvent };

/** What a session tells its listeners; calls come in order and must not throw. */
export interface SessionListener {
  event?(event: NumberedEvent): void;
  /** An execution has begun a moment ago and said nothing yet; otherwise its first event tells. */
  started?(executionId: ExecutionId, startedAt: number): void;
  state?(state: "ready" | "busy" | "restored" | "reset" | "ended", reason: string): void;
}

/** What to run; `id` absent: one is made. Running again under a known id with the same code runs nothing. */
export type ExecuteRequest = Omit<z.input<typeof ExecuteMessage>, "type">;

export interface CheckpointTaken {
  checkpointId: CheckpointId;
  /** Where the blob lies outside the sandbox; owned by the session until `dropCheckpoint` or its end. */
  blobPath: string;
  size: number;
  sha256: string;
  skipped: Missing[];
  /** Seconds for which the session could not run code. */
  pause: number;
}

/** What a session is doing. */
export interface SessionActivity {
  state: z.infer<typeof RunnerSessionState>;
  lastSeq: number;
  running: ExecutionId | null;
  /** Unix seconds at which that began. */
  runningSince: number | null;
  queued: ExecutionId[];
  pendingInput: PendingInput | null;
}

export interface SessionStatus extends SessionActivity {
  residentBytes: number | null;
  limitBytes: number | null;
  snapshots: number;
}

/** One Python state in a process of its own. `Session` in `session.ts` is the implementation. */
export interface SessionContract {
  readonly id: string;
  /**
   * Queues code and yields its events as they come; the last one is `result` or `error`.
   * Leaving the loop early cancels the execution.
   *
   * @throws SessionError `queue_full`, `idempotency_conflict`, `ended`.
   */
  execute(request: ExecuteRequest): AsyncIterable<ExecutionEvent>;
  /** Queues code; its events reach the listeners only. Same errors as `execute`. */
  submit(request: ExecuteRequest): ExecutionId;
  /** @returns a function that ends the subscription. */
  subscribe(listener: SessionListener): () => void;
  /** Makes the next event's seq `base + 1`; only before the first event. */
  numberFrom(base: number): void;
  /** Stops, or goes on, reading what Python writes; a paused session blocks Python in `write`. */
  pauseOutput(): void;
  resumeOutput(): void;
  /** Makes output come in frames of at most so many bytes, as far as that can be done; 0 lifts the limit. */
  limitFrames(bytes: number): void;
  /** @returns false where nothing waits for `inputId`. */
  inputResponse(inputId: string, value: string | null): boolean;
  /** @returns the execution that got the signal, or null where nothing runs. */
  interrupt(): ExecutionId | null;
  /** Ends a queued execution without running it, or interrupts a running one. @returns false where it is unknown or over. */
  cancel(executionId: ExecutionId): boolean;
  /**
   * Ends every queued execution without running it, and interrupts the running one.
   *
   * @param cleanUpMs how long its code may go on that has noticed the interrupt; absent: as after any other.
   */
  cancelAll(cleanUpMs?: number): void;
  /** Ends what runs and what waits, then starts over with a fresh interpreter; checkpoints are kept. */
  reset(): Promise<void>;
  complete(code: string, cursor: number): Promise<z.infer<typeof Completions>>;
  isComplete(code: string): Promise<z.infer<typeof Completeness>>;
  /** Waits its turn in the queue, pauses the session for a fork, and resolves when the blob is written. */
  checkpoint(checkpointId?: CheckpointId): Promise<CheckpointTaken>;
  /**
   * Waits its turn in the queue. Uses the snapshot while it lives, otherwise the blob at `blobPath` or the one it still holds.
   *
   * @throws SessionError `checkpoint_unavailable` (no snapshot and no blob), `checkpoint_invalid`.
   */
  restore(
    checkpointId: CheckpointId,
    options?: { clearExisting?: boolean; blobPath?: string },
  ): Promise<{ source: "snapshot" | "stored"; missing: Missing[] }>;
  /** Forgets snapshot and blob. */
  dropCheckpoint(checkpointId: CheckpointId): void;
  /** Removes the blob's file, since it is stored elsewhere by now; the snapshot stays as the fast way back. */
  dropBlob(checkpointId: CheckpointId): void;
  readonly activity: SessionActivity;
  /** What it is doing, and what it takes. */
  status(): Promise<SessionStatus>;
  /** Ends every process of the session and removes its files. Safe to call twice. */
  shutdown(): Promise<void>;
}
