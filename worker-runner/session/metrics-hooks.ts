/** Owns the callbacks through which a session and a pool report figures. They are synchronous and must not throw. */
import type { ErrorReason, StateAfterError } from "../../src/protocol/event.ts";

export interface MetricsHooks {
  /** `reason` null: the execution ended with a result. */
  executionEnded?(reason: ErrorReason | null, seconds: number): void;
  /** How long the live process was busy with a recovery snapshot; null if none could be taken. */
  recoverySnapshot?(pauseSeconds: number | null): void;
  /** A lost or rolled back state was replaced. */
  stateReplaced?(outcome: Exclude<StateAfterError, "kept"> | "lost", seconds: number): void;
  checkpointTaken?(bytes: number, pauseSeconds: number, seconds: number): void;
  /** An interpreter was started; `seconds` until it was ready. */
  sandboxStarted?(seconds: number): void;
  sandboxFailed?(reason: string): void;
  /** The pool gave out a session. */
  acquired?(waitSeconds: number): void;
}
