/** Owns sessions as resources (protocol, section 10): creating them, their overview, environments and variables. */
import { z } from "zod";
import { ExecutionId, hasWholeCharacters, MessageId, Seq, SessionName, Timestamp } from "./identity.ts";
import { Restored } from "./restored.ts";
import { PendingInput, PendingToolCall, SessionState } from "./session-state.ts";

export const EnvironmentName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "must be 1 to 64 letters, digits or . _ -, and begin with a letter or digit",
  );

/** Where runners are, as their `REGION` names it. */
export const RegionName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "must be 1 to 64 letters, digits or . _ -, and begin with a letter or digit",
  );

const SANDBOX_NAMES = /^(?:HOME$|PATH$|LD_|PYTHON|PYREPL)/;

export const EnvName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "must be 1 to 128 letters, digits or underscores, and begin with no digit")
  .refine((name) => !SANDBOX_NAMES.test(name), "must not be a name that the sandbox sets itself");

/** The environment of a session that names none, which every runner has. */
export const DEFAULT_ENVIRONMENT = "default";
const MAX_IDLE_SECONDS = 24 * 3600;

/** Variables to set; null removes one. */
export const EnvPatch = z.record(
  EnvName,
  z
    .string()
    .refine((value) => !value.includes("\0"), "must not contain a NUL")
    // Python cannot put half of a character into its environment; the interpreter would end of it.
    .refine(hasWholeCharacters, "must not have half a character")
    .nullable(),
);
export type EnvPatch = z.infer<typeof EnvPatch>;

/** `PUT /api/v1/sessions/{session}`. */
export const SessionBody = z.object({
  environment: EnvironmentName.optional(),
  env: EnvPatch.optional(),
  /** Runners there are preferred; it counts from the next interpreter on. */
  region: RegionName.optional(),
  /** Seconds without a sign of life until the session is suspended. */
  idle_seconds: z.number().positive().max(MAX_IDLE_SECONDS).optional(),
});
export type SessionBody = z.infer<typeof SessionBody>;

export const SessionOverview = z.object({
  client_id: z.string(),
  session: SessionName,
  state: SessionState,
  created_at: Timestamp.nullable(),
  last_active_at: Timestamp.nullable(),
  last_seq: Seq,
  first_seq: Seq,
  running: ExecutionId.nullable(),
  queued: z.int().nonnegative(),
  /** How it was brought back the last time; null: it never was, or it has been reset since. */
  restored: Restored.nullable(),
  pending_input: PendingInput.nullable(),
  pending_tool_calls: z.array(PendingToolCall),
  executions: z.int().nonnegative(),
  checkpoints: z.int().nonnegative(),
  sockets: z.int().nonnegative(),
  memory: z.object({ resident_bytes: z.int().nullable(), limit_bytes: z.int().nullable() }),
  runner: z.object({ id: z.string(), version: z.string() }).nullable(),
  /** Name of its Python environment. */
  environment: z.string(),
  /** Where its runner should be; absent: anywhere. */
  region: z.string().optional(),
  /** Names of its environment variables; their values are in no answer. */
  env_names: z.array(z.string()),
  /** The state could not be stored, so the session keeps its interpreter. Absent after a success. */
  save_failed: z.object({ attempts: z.int().positive(), at: Timestamp, next_attempt_at: Timestamp }).optional(),
  /** The newest state in the store, and whether nothing has changed since. */
  saved: z.object({ at: Timestamp, is_current: z.boolean() }).nullable(),
  /** Executions whose state before can be brought back, newest first. */
  undo: z.array(ExecutionId),
  /** Requirements installed in it. */
  packages: z.array(z.string()),
});
export type SessionOverview = z.infer<typeof SessionOverview>;

export const SessionList = z.object({ sessions: z.array(SessionOverview) });

export const InstalledPackage = z.object({ name: z.string(), version: z.string() });

export const Environment = z.object({
  name: z.string(),
  /** Version of its Python. */
  python: z.string(),
  /** Modules that it has imported before a session begins. */
  preload: z.array(z.string()),
  packages: z.array(InstalledPackage),
  default: z.boolean(),
});
export type Environment = z.infer<typeof Environment>;

/** Answer of `GET /api/v1/environments`. */
export const EnvironmentList = z.object({ environments: z.array(Environment) });

/** A name that user code has bound. */
export const Variable = z.object({
  name: z.string(),
  type: z.string(),
  /** At most 200 characters. */
  repr: z.string(),
  /** Bytes of the object itself, without those it refers to. */
  size: z.int().nonnegative(),
  is_callable: z.boolean(),
});
export type Variable = z.infer<typeof Variable>;

/** Answer of `GET /api/v1/session/variables` and `data` of `variables`: at most 500, the newest binding first. */
export const VariableList = z.object({ variables: z.array(Variable), truncated: z.boolean() });
export type VariableList = z.infer<typeof VariableList>;

export const VariablesMessage = z.object({ type: z.literal("variables"), id: MessageId.optional() });
