/** Owns the problem codes (protocol, section 7) and the RFC 9457 object that carries them. */
import { z } from "zod";

/** Every code, with its HTTP status and title. */
export const PROBLEMS = {
  invalid_request: { status: 400, title: "The request is not valid" },
  client_id_required: { status: 400, title: "A client id is required" },
  client_id_invalid: { status: 400, title: "The client id is not valid" },
  invalid_path: { status: 400, title: "The path is not valid" },
  unauthorized: { status: 401, title: "Authentication is required" },
  forbidden: { status: 403, title: "Not allowed" },
  origin_not_allowed: { status: 403, title: "This origin is not allowed" },
  packages_disabled: { status: 403, title: "Installing packages is not allowed" },
  not_found: { status: 404, title: "Not found" },
  idempotency_conflict: { status: 409, title: "This id was used with other code" },
  environment_conflict: { status: 409, title: "The session has state in another environment" },
  not_empty: { status: 409, title: "The folder is not empty" },
  session_exists: { status: 409, title: "A session with this name exists" },
  checkpoint_unavailable: { status: 410, title: "The checkpoint is no longer available" },
  undo_unavailable: { status: 410, title: "The state before this execution is no longer kept" },
  precondition_failed: { status: 412, title: "The file does not meet the condition" },
  payload_too_large: { status: 413, title: "Too large" },
  workspace_full: { status: 413, title: "Too large for the workspace" },
  range_not_satisfiable: { status: 416, title: "The file does not have this range" },
  upgrade_required: { status: 426, title: "A WebSocket upgrade is required" },
  rate_limited: { status: 429, title: "Too many messages" },
  session_limit: { status: 429, title: "Too many sessions" },
  queue_full: { status: 429, title: "The session's queue is full" },
  internal: { status: 500, title: "Internal error" },
  runner_error: { status: 502, title: "The runner failed" },
  no_runner: { status: 503, title: "No runner is available" },
  pool_exhausted: { status: 503, title: "Every interpreter is in use" },
  storage_full: { status: 507, title: "Storage is full" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;
export const ProblemCode = z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]);

/** One bad field of a request. */
export const FieldError = z.object({ path: z.string(), message: z.string() });
export type FieldError = z.infer<typeof FieldError>;

/** The body of every failed call, and the `data` of a `problem` message. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: ProblemCode,
  request_id: z.string(),
  errors: z.array(FieldError).optional(),
  /** Seconds after which the same call may succeed. */
  retry_after: z.number().optional(),
});
export type Problem = z.infer<typeof Problem>;
