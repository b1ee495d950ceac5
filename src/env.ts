/** Owns the Worker's bindings and variables: parsed once, and nothing else reads them. */
import { z } from "zod";
import { DEFAULT_LIMITS } from "./protocol/limits.ts";
import { OtlpHeaders } from "./protocol/otlp-headers.ts";

/** What wrangler.toml binds. */
export interface Bindings {
  CLIENT_SESSIONS: DurableObjectNamespace;
  FLEET: DurableObjectNamespace;
  TENANTS: DurableObjectNamespace;
  CHECKPOINTS: R2Bucket;
}

const MIB = 1024 * 1024;
const number = (fallback: number) => z.coerce.number().nonnegative().default(fallback);
const count = (fallback: number) => z.coerce.number().int().positive().default(fallback);
const text = z.string().min(1).optional();

/** Variables by their configuration names; an empty one counts as absent. */
const Variables = z.object({
  JWT_SECRET: text,
  JWKS_URL: z.url().optional(),
  JWT_ISSUER: text,
  JWT_AUDIENCE: text,
  /** Comma separated; empty: same origin only. */
  ALLOWED_ORIGINS: z.string().default(""),
  /** 0 switches the limit off. */
  RATE_LIMIT_PER_SECOND: number(DEFAULT_LIMITS.messagesPerSecond),
  RATE_LIMIT_BURST: number(DEFAULT_LIMITS.messageBurst),
  /** Bytes of earlier output that one client reads again; 0 switches the limit off. */
  READ_BYTES_PER_SECOND: number(DEFAULT_LIMITS.readBytesPerSecond),
  READ_BURST_BYTES: number(DEFAULT_LIMITS.readBurstBytes),
  MAX_SOCKETS_PER_CLIENT: count(DEFAULT_LIMITS.socketsPerClient),
  MAX_WAITING_CALLS_PER_CLIENT: count(DEFAULT_LIMITS.waitingCallsPerClient),
  MAX_SESSIONS_PER_CLIENT: count(DEFAULT_LIMITS.sessionsPerClient),
  /** Over all client ids of a tenant; 0 switches the limit off. */
  MAX_SESSIONS_PER_TENANT: z.coerce.number().int().nonnegative().default(0),
  /** Sessions of a tenant that run code at once; 0 switches the limit off. */
  MAX_EXECUTIONS_PER_TENANT: z.coerce.number().int().nonnegative().default(0),
  /** Client ids that callers without a token have in use together, and from one address; 0 switches the limit off. */
  MAX_ANONYMOUS_CLIENTS: z.coerce.number().int().nonnegative().default(DEFAULT_LIMITS.anonymousClients),
  MAX_ANONYMOUS_CLIENTS_PER_ADDRESS: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(DEFAULT_LIMITS.anonymousClientsPerAddress),
  /** The request header in which a proxy or the platform names the caller's address; absent: no address is known. */
  CLIENT_ADDRESS_HEADER: z
    .string()
    .regex(/^[A-Za-z0-9-]+$/, "must be the name of a header")
    .optional(),
  MAX_TIMEOUT_SECONDS: z.coerce.number().positive().default(DEFAULT_LIMITS.maxTimeoutSeconds),
  MAX_QUEUED_EXECUTIONS: count(DEFAULT_LIMITS.queuedExecutions),
  MAX_CODE_BYTES: count(DEFAULT_LIMITS.codeMaxBytes),
  MAX_FRAME_BYTES: count(DEFAULT_LIMITS.inboundFrameMaxBytes),
  MAX_TOOL_VALUE_BYTES: count(DEFAULT_LIMITS.toolValueMaxBytes),
  JOURNAL_MAX_BYTES: count(DEFAULT_LIMITS.journalMaxBytes),
  UNACKED_OUTPUT_BYTES: count(DEFAULT_LIMITS.unackedOutputBytes),
  CHECKPOINT_MAX_BYTES: count(256 * MIB),
  MAX_CHECKPOINTS_PER_CLIENT: count(DEFAULT_LIMITS.checkpointsPerClient),
  MAX_STORED_BYTES_PER_CLIENT: count(DEFAULT_LIMITS.storedBytesPerClient),
  /** 0 switches the limit off. */
  MAX_STORED_BYTES_PER_TENANT: number(DEFAULT_LIMITS.storedBytesPerTenant),
  SESSION_IDLE_SECONDS: z.coerce.number().positive().default(300),
  SESSION_TTL_SECONDS: z.coerce
    .number()
    .positive()
    .default(7 * 24 * 3600),
  /** A session that was quiet for this long stores its state; 0 switches it off. */
  AUTOSAVE_SECONDS: number(2),
  LINK_IDLE_SECONDS: z.coerce.number().positive().default(5),
  CHECKPOINT_KEY: z.string().min(32, "must have at least 32 characters"),
  RUNNER_TOKEN: z.string().min(16, "must have at least 16 characters"),
  RUNNER_URL: z.url().optional(),
  /** Durable Objects that share the registry of runners; each takes up to 1,000 runners. */
  FLEET_SHARDS: z.coerce.number().int().min(1).max(64).default(1),
  /** Prometheus reads /metrics with it; absent: with RUNNER_TOKEN only. */
  METRICS_TOKEN: z.string().min(16, "must have at least 16 characters").optional(),
  /** The OpenTelemetry collector's address; absent: no traces are sent. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).optional(),
  OTEL_EXPORTER_OTLP_HEADERS: OtlpHeaders,
  /** The share of requests without a trace of their own that begin one. */
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  /** Set by `npm start`, which listens on this machine's own address. */
  LOCAL: z.stringbool().default(false),
});
export type Settings = z.infer<typeof Variables>;

/** A setting that is missing or wrong; the message names every one of them. */
export class SettingsError extends Error {
  override name = "SettingsError";
}

/**
 * Parses the variables of the edge.
 *
 * @throws SettingsError naming each wrong variable.
 */
export function parseSettings(variables: Record<string, unknown>): Settings {
  const present = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ""));
  const parsed = Variables.safeParse(present);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new SettingsError(`The edge's configuration is wrong. ${lines.join("; ")}`);
}

const parsedByEnv = new WeakMap<object, Settings>();

/** The settings of this Worker's environment, parsed on first use. */
export function settingsOf(env: object): Settings {
  let settings = parsedByEnv.get(env);
  if (settings === undefined) {
    settings = parseSettings(env as Record<string, unknown>);
    parsedByEnv.set(env, settings);
  }
  return settings;
}
