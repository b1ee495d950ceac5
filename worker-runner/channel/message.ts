/** Owns the schemas of the messages that processes of the sandbox send to the runner (docs/channel.md). */
import { z } from "zod";
import { MimeBundle, StreamName } from "../../src/protocol/event.ts";
import { Completeness, Completions, Missing } from "../../src/protocol/server-message.ts";
import { VariableList } from "../../src/protocol/session-resource.ts";

const pid = z.int().positive();
const id = z.string().max(64);
const executionId = z.string().min(1).max(128);
const seconds = z.number().nonnegative();
const installId = z.string().min(1).max(64);
/** What is installed in a session, as pip's requirements. */
const packages = z.array(z.string().max(1_024)).max(1_000);

/** Python omits or shortens longer values. It counts a character beyond U+FFFF as one. */
const VALUE_MAX_CHARACTERS = 1 << 20;
const REPR_MAX_CHARACTERS = 2 * (1 << 16) + 1_024;

export const PythonVersion = z.object({
  version: z.string().max(256),
  implementation: z.string().max(64),
  serializer: z.enum(["cloudpickle", "source"]),
  cloudpickle: z.string().max(64).nullable(),
});
/** The version of the interpreter, and how it saves its state. */
export type PythonVersion = z.infer<typeof PythonVersion>;

export const Hello = z.object({
  type: z.literal("hello"),
  role: z.enum(["keeper", "live", "snapshot", "serializer", "installer", "files"]),
  token: z.string().max(64),
  pid,
  python: PythonVersion.optional(),
  /** The copy that a snapshot left behind when it became this live process. */
  snapshot_pid: pid.optional(),
});
export type Hello = z.infer<typeof Hello>;

/** Python sends output in smaller pieces. */
const MAX_PIECE_CHARACTERS = 65_536;

const UnencodableOutput = z.object({
  type: z.literal("output"),
  offset: z.int().nonnegative(),
  stream: StreamName,
  data: z.string().max(MAX_PIECE_CHARACTERS),
});

/** The process does not know a message that the runner sent; it exits. */
export const Unsupported = z.object({ type: z.literal("unsupported"), message_type: z.string().max(100) });

export const KeeperMessage = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("exited"),
    pid,
    code: z.int().nullable(),
    signal: z.int().nullable(),
    /** How many executions a live process had begun. */
    begun: z.int().nonnegative(),
  }),
  z.object({ type: z.literal("signalled"), id, delivered: z.boolean() }),
  /** `pid` is null if the sandbox allows no further process. */
  z.object({ type: z.literal("files_spawned"), id, pid: pid.nullable() }),
  z.object({ type: z.literal("swept"), id, killed: z.int().nonnegative() }),
  z.object({
    type: z.literal("interrupts"),
    id,
    count: z.number().nonnegative(),
    /** How many executions the live process has begun, and how long ago the last one. */
    begun: z.int().nonnegative(),
    seconds_since_begin: seconds,
  }),
  UnencodableOutput,
  Unsupported,
]);
export type KeeperMessage = z.infer<typeof KeeperMessage>;

export const LiveMessage = z.discriminatedUnion("type", [
  UnencodableOutput,
  Unsupported,
  z.object({
    type: z.literal("display"),
    execution_id: executionId,
    mime: MimeBundle,
    metadata: z.record(z.string(), z.unknown()),
    display_id: z.string().max(1024).optional(),
    update: z.boolean().optional(),
  }),
  z.object({ type: z.literal("clear_output"), execution_id: executionId, wait: z.boolean() }),
  z.object({
    type: z.literal("input"),
    execution_id: executionId,
    input_id: z.string().min(1).max(128),
    prompt: z.string(),
    password: z.boolean(),
  }),
  z.object({
    type: z.literal("tool_call"),
    execution_id: executionId,
    call_id: z.string().min(1).max(64),
    name: z.string().min(1).max(64),
    arguments: z.record(z.string(), z.unknown()),
    batch: z.string().max(64),
  }),
  /** Nobody waits for the answer any more. */
  z.object({ type: z.literal("tool_cancel"), execution_id: executionId, call_id: z.string().min(1).max(64) }),
  /** `pip install` with these arguments. Answered by `install_answer`. */
  z.object({
    type: z.literal("install"),
    execution_id: executionId,
    install_id: installId,
    arguments: z.array(z.string().max(32_768)).max(200),
    cwd: z.string().max(4_096),
  }),
  /** Nobody waits for the installation any more. */
  z.object({ type: z.literal("install_cancel"), execution_id: executionId, install_id: installId }),
  /** While a blob is loaded: install what it had. Answered by `install_answer`. */
  z.object({ type: z.literal("reinstall"), install_id: installId, requirements: packages }),
  z.object({
    type: z.literal("result"),
    execution_id: executionId,
    value: z.string().max(VALUE_MAX_CHARACTERS).nullable(),
    repr: z.string().max(REPR_MAX_CHARACTERS).nullable(),
    mime: MimeBundle.optional(),
    execution_time: seconds,
  }),
  z.object({
    type: z.literal("error"),
    execution_id: executionId,
    exception_type: z.string(),
    exception_message: z.string(),
    traceback: z.string(),
    execution_time: seconds,
    reason: z.enum(["exception", "interrupted", "out_of_memory"]),
  }),
  z.object({
    type: z.literal("snapshot_taken"),
    id,
    pid,
    ended: z.array(pid),
    threads: z.array(z.string()),
    pause: seconds,
    rehearsal: seconds.optional(),
  }),
  z.object({ type: z.literal("snapshot_declined"), id, resident_bytes: z.int().nonnegative() }),
  z.object({ type: z.literal("reaped"), id, pids: z.array(pid) }),
  Completions.extend({ type: z.literal("completions"), id }),
  Completeness.extend({ type: z.literal("completeness"), id }),
  VariableList.extend({ type: z.literal("variables"), id }),
  z.object({ type: z.literal("loaded"), id, restored: z.array(z.string()), missing: z.array(Missing), packages }),
  z.object({
    type: z.literal("load_failed"),
    id,
    code: z.enum(["format", "python_version", "checksum", "too_large"]),
    detail: z.string(),
  }),
]);
export type LiveMessage = z.infer<typeof LiveMessage>;
export type MessageOf<T extends LiveMessage["type"]> = Extract<LiveMessage, { type: T }>;
/** Answers of a live process to a request that carries an id. */
export type LiveAnswer = Extract<LiveMessage, { id: string }>;

export const SerializerMessage = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("serialized"),
    id,
    skipped: z.array(Missing),
    size: z.int().nonnegative(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    packages,
  }),
  z.object({ type: z.literal("serialize_failed"), id, detail: z.string() }),
]);
export type SerializerMessage = z.infer<typeof SerializerMessage>;

export const InstallStatus = z.enum(["ok", "failed", "unavailable", "disabled"]);
/** `unavailable`: the index did not answer. `disabled`: there is none. */
export type InstallStatus = z.infer<typeof InstallStatus>;

export const InstallerMessage = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("fetch"),
    method: z.enum(["GET", "HEAD"]),
    url: z.string().max(8_192),
    headers: z.record(z.string().max(64), z.string().max(4_096)),
  }),
  z.object({
    type: z.literal("installed"),
    status: InstallStatus.extract(["ok", "failed", "unavailable"]),
    detail: z.string().max(4_096),
    packages,
  }),
]);
export type InstallerMessage = z.infer<typeof InstallerMessage>;
export type MessageOfInstaller<T extends InstallerMessage["type"]> = Extract<InstallerMessage, { type: T }>;
