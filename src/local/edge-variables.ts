/** Owns which variables of the environment are the edge's. `src/env.ts` parses them; a test holds the two together. */
export const EDGE_VARIABLES = [
  "JWT_SECRET",
  "JWKS_URL",
  "JWT_ISSUER",
  "JWT_AUDIENCE",
  "ALLOWED_ORIGINS",
  "RATE_LIMIT_PER_SECOND",
  "RATE_LIMIT_BURST",
  "READ_BYTES_PER_SECOND",
  "READ_BURST_BYTES",
  "MAX_SOCKETS_PER_CLIENT",
  "MAX_WAITING_CALLS_PER_CLIENT",
  "MAX_SESSIONS_PER_CLIENT",
  "MAX_SESSIONS_PER_TENANT",
  "MAX_EXECUTIONS_PER_TENANT",
  "MAX_TIMEOUT_SECONDS",
  "MAX_QUEUED_EXECUTIONS",
  "MAX_CODE_BYTES",
  "MAX_FRAME_BYTES",
  "MAX_TOOL_VALUE_BYTES",
  "JOURNAL_MAX_BYTES",
  "UNACKED_OUTPUT_BYTES",
  "CHECKPOINT_MAX_BYTES",
  "MAX_CHECKPOINTS_PER_CLIENT",
  "MAX_STORED_BYTES_PER_CLIENT",
  "MAX_STORED_BYTES_PER_TENANT",
  "SESSION_IDLE_SECONDS",
  "SESSION_TTL_SECONDS",
  "AUTOSAVE_SECONDS",
  "LINK_IDLE_SECONDS",
  "CHECKPOINT_KEY",
  "RUNNER_TOKEN",
  "RUNNER_URL",
  "FLEET_SHARDS",
  "LOCAL",
] as const;

/** Those that are set and not empty. */
export function pickEdgeVariables(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(EDGE_VARIABLES.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])));
}
