/** Owns the runner's settings: one schema for the environment, parsed once at the start. No other file reads the environment. */
import { hostname } from "node:os";
import { z } from "zod";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { OtlpHeaders } from "../../src/protocol/otlp-headers.ts";
import { AllowList, WrongEntry } from "../egress/allow-list.ts";

const MIB = 1024 * 1024;

const number = () => z.coerce.number({ error: "must be a number" });
const port = number().int().min(0).max(65_535);
const count = (fallback: number) => number().int().positive().default(fallback);
const seconds = (fallback: number) => number().nonnegative().default(fallback);
const flag = z
  .enum(["1", "0", "true", "false", "on", "off", "yes", "no"], { error: "must be 1 or 0, true or false, on or off" })
  .transform((word) => ["1", "true", "on", "yes"].includes(word));
const list = z
  .string()
  .default("")
  .transform((text) => text.split(",").map((item) => item.trim()))
  .transform((items) => items.filter((item) => item !== ""));

const ENVIRONMENT = /^(?<name>[A-Za-z0-9][A-Za-z0-9._-]{0,63})=(?<python>[^:]+)(?::(?<preload>.*))?$/;
const environments = z
  .string()
  .default("")
  .transform((text, context) => {
    const entries = text.split(";").map((entry) => entry.trim());
    const parsed = entries.filter((entry) => entry !== "").map((entry) => ENVIRONMENT.exec(entry)?.groups);
    const names = ["default", ...parsed.map((entry) => entry?.name)];
    if (parsed.includes(undefined) || new Set(names).size < names.length) {
      context.addIssue({
        code: "custom",
        message: "must be name=command[:module,module];… with names apart, and none of them default",
      });
      return z.NEVER;
    }
    return parsed.map((entry) => ({
      name: entry?.name ?? "",
      python: entry?.python?.trim() ?? "",
      preload: (entry?.preload ?? "")
        .split(",")
        .map((item) => item.trim())
        .filter((item) => item !== ""),
    }));
  });

/** The message of an error must not hold them. */
function hasReadableCredentials(text: string): boolean {
  const { username, password } = new URL(text);
  try {
    decodeURIComponent(`${username}${password}`);
    return true;
  } catch {
    return false;
  }
}

const allowList = list.transform((entries, context) => {
  try {
    return new AllowList(entries);
  } catch (error) {
    if (!(error instanceof WrongEntry)) throw error;
    context.addIssue({ code: "custom", message: error.message });
    return z.NEVER;
  }
});

const Variables = z.object({
  /** 0: any free port; the log names it. */
  RUNNER_PORT: port.default(8788),
  HOST: z.string().default("127.0.0.1"),
  /** The secret that edge and runner share. */
  RUNNER_TOKEN: z.string().min(16, "must have at least 16 characters"),
  /** Where the runner registers. Without it, the edge must find the runner by RUNNER_URL. */
  EDGE_URL: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).optional(),
  /** Where the edge reaches this runner; by default, the host and port above. */
  PUBLIC_URL: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).optional(),
  RUNNER_ID: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/, "must be 1 to 128 letters, digits or . _ ~ -")
    .default(() => `${hostname().replace(/[^A-Za-z0-9.-]/g, "-")}-${process.pid}`),
  /** 0: interpreters are started on demand only. */
  POOL_MIN_IDLE: number().int().nonnegative().default(5),
  POOL_MAX_SESSIONS: count(100),
  /** Sandboxes without an interpreter that are kept ready, so that an interpreter starts sooner. */
  POOL_SKELETONS: number().int().nonnegative().default(20),
  /** How long a new session may wait for a free interpreter. */
  POOL_ACQUIRE_SECONDS: number().positive().default(30),
  /** A session that was idle for this long is stored if another one needs its place. */
  GIVE_WAY_SECONDS: seconds(0.5),
  PYTHON: z.string().default("python3"),
  /** Modules that are imported in advance, separated by commas. */
  PRELOAD: list,
  /** Further Pythons: `name=command`, or `name=command:module,module` to import modules in advance; separated by semicolons. */
  ENVIRONMENTS: environments,
  /** Whether interpreters are forked from a process that has Python and the modules loaded; 0: each starts by itself. */
  ZYGOTE: flag.default(true),
  SANDBOX: z
    .enum(["auto", "bwrap", "landlock", "none"], { error: "must be auto, bwrap, landlock or none" })
    .default("auto"),
  /** Whether user code may use the network. */
  NETWORK: flag.default(false),
  /** Hosts that user code may reach by HTTP and HTTPS, separated by commas. */
  EGRESS_ALLOW: allowList,
  /** Where packages come from; without it, none can be installed. */
  PACKAGE_INDEX_URL: z
    .url({ protocol: /^https?$/, error: "must be an http or https URL" })
    .refine(hasReadableCredentials, { error: "must have credentials in which each % begins a code such as %40" })
    .optional(),
  /** Further hosts that the index's pages link to for files, separated by commas. */
  PACKAGE_FILE_HOSTS: list,
  /** How long the index may send nothing. */
  PACKAGE_INDEX_SECONDS: number().positive().default(10),
  /** How long one installation may take. */
  PACKAGE_INSTALL_SECONDS: number().positive().default(240),
  MEMORY_LIMIT_MB: count(DEFAULT_LIMITS.memoryLimitMb),
  PROCESS_LIMIT: count(DEFAULT_LIMITS.processLimit),
  WORKSPACE_LIMIT_MB: count(DEFAULT_LIMITS.workspaceLimitMb),
  SNAPSHOTS_PER_SESSION: count(DEFAULT_LIMITS.snapshotsPerSession),
  MAX_QUEUED_EXECUTIONS: count(DEFAULT_LIMITS.queuedExecutions),
  MAX_CODE_BYTES: count(DEFAULT_LIMITS.codeMaxBytes),
  CHECKPOINT_MAX_BYTES: count(256 * MIB),
  /** Nothing new is stored if a file system has less room than this; 0 switches the limit off. */
  MIN_FREE_DISK_MB: number().nonnegative().default(256),
  /** Folders beside the runner's own that must have this room, separated by commas. */
  STORAGE_FOLDERS: list,
  /** Bytes of one session's events that the edge has not stored yet. When the ring is full, Python's output is not read. */
  RING_MAX_BYTES: count(4 * MIB),
  /** Where the runner is; the edge prefers a session's own region. */
  REGION: z.string().max(64).optional(),
  HEARTBEAT_SECONDS: number().positive().default(5),
  /** A session without link and work, for which the edge does not answer, is ended after this time. */
  ORPHAN_SECONDS: number().positive().default(600),
  /** How long the edge has to store sessions when the runner stops. */
  SHUTDOWN_GRACE_SECONDS: seconds(10),
  LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"], {
      error: "must be fatal, error, warn, info, debug, trace or silent",
    })
    .default("info"),
  /** Prometheus reads /metrics with it; absent: everyone who reaches the port does. */
  METRICS_TOKEN: z.string().min(16, "must have at least 16 characters").optional(),
  /** The OpenTelemetry collector's address; absent: no traces are sent. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).optional(),
  OTEL_EXPORTER_OTLP_HEADERS: OtlpHeaders,
  LOG_FORMAT: z.enum(["auto", "json", "pretty"], { error: "must be auto, json or pretty" }).default("auto"),
});

export type RunnerConfig = z.infer<typeof Variables>;

/** The names of all settings, for programs that pass the environment on. */
export const RUNNER_VARIABLES = Object.keys(Variables.shape);

/** Settings are missing or invalid. The message names each of them. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/**
 * Parses the runner's environment. An empty variable counts as absent.
 *
 * @throws ConfigError names each invalid variable.
 */
export function parseConfig(environment: Record<string, string | undefined>): RunnerConfig {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = Variables.safeParse(present);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => {
      const name = issue.path.join(".");
      return present[name] === undefined ? `${name} is required` : `${name} ${issue.message}`;
    });
    throw new ConfigError(`The runner's configuration is wrong: ${lines.join("; ")}`);
  }
  const config = parsed.data;
  if (config.POOL_MIN_IDLE > config.POOL_MAX_SESSIONS) {
    throw new ConfigError(
      `The runner's configuration is wrong: POOL_MIN_IDLE (${config.POOL_MIN_IDLE}) exceeds POOL_MAX_SESSIONS (${config.POOL_MAX_SESSIONS})`,
    );
  }
  if (config.EGRESS_ALLOW.entries.length > 0 && config.NETWORK) {
    throw new ConfigError(
      "The runner's configuration is wrong: NETWORK opens more than EGRESS_ALLOW allows; set one of them only",
    );
  }
  if (config.EGRESS_ALLOW.entries.length > 0 && config.SANDBOX === "none") {
    throw new ConfigError(
      "The runner's configuration is wrong: EGRESS_ALLOW needs a sandbox, because with SANDBOX=none code uses the network of the machine",
    );
  }
  // Files in memory count, and stay when a process is ended for memory: what filled them could never be brought back.
  if (config.WORKSPACE_LIMIT_MB >= config.MEMORY_LIMIT_MB) {
    throw new ConfigError(
      `The runner's configuration is wrong: WORKSPACE_LIMIT_MB (${config.WORKSPACE_LIMIT_MB}) must be less than MEMORY_LIMIT_MB (${config.MEMORY_LIMIT_MB})`,
    );
  }
  return config;
}
