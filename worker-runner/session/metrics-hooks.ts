/** Owns what a session and a pool tell whoever counts; calls are synchronous and must not throw. */
import type { ErrorReason, StateAfterError } from "../../src/protocol/event.ts";

export interface MetricsHooks {
  /** `reason` null: it ended in a result. */
  executionEnded?(reason: ErrorReason | null, seconds: number): void;
  /** The recovery snapshot: how long the live process was busy with it, or that there is none. */
  recoverySnapshot?(pauseSeconds: number | null): void;
  /** A lost or rolled back state was replaced. */
  stateReplaced?(outcome: Exclude<StateAfterError, "kept"> | "lost", seconds: number): void;
  checkpointTaken?(bytes: number, pauseSeconds: number, seconds: number): void;
  /** An interpreter was started, from nothing to its first hello. */
  sandboxStarted?(seconds: number): void;
  sandboxFailed?(reason: string): void;
  /** A borrower got a session. */
  acquired?(waitSeconds: number): void;
}
