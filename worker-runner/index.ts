/** Owns what the runner offers as a library: sessions and a pool of them in this process, without any network. */
export type { ExecutionEvent } from "../src/protocol/event.ts";
export type { MetricsHooks } from "./metrics-hooks.ts";
export { Session } from "./session.ts";
export type {
  CheckpointTaken,
  ExecuteRequest,
  NumberedEvent,
  SessionContract,
  SessionListener,
  SessionStatus,
} from "./session-contract.ts";
export { SessionError, type SessionErrorCode } from "./session-error.ts";
export type { SessionOptions } from "./session-options.ts";
export { type PoolHealth, type PoolMetrics, type PoolOptions, SessionPool } from "./session-pool.ts";
