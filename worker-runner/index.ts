/** Owns what the runner offers as a library: sessions and a pool of them in this process, without any network. */
export type { ExecutionEvent } from "../src/protocol/event.ts";
export { type PoolHealth, type PoolMetrics, type PoolOptions, SessionPool } from "./pool/session-pool.ts";
export type { MetricsHooks } from "./session/metrics-hooks.ts";
export { Session } from "./session/session.ts";
export type {
  CheckpointTaken,
  ExecuteRequest,
  NumberedEvent,
  SessionContract,
  SessionListener,
  SessionStatus,
} from "./session/session-contract.ts";
export { SessionError, type SessionErrorCode } from "./session/session-error.ts";
export type { SessionOptions } from "./session/session-options.ts";
