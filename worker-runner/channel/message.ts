/** Owns the messages of the channel (docs/channel.md): schemas for those from the sandbox, types for those to it. */
import { z } from "zod";
import { MimeBundle, StreamName } from "../../src/protocol/event.ts";
import { FileChange, FileEntry } from "../../src/protocol/file.ts";
import { Completeness, Completions, Missing } from "../../src/protocol/server-message.ts";
import { VariableList } from "../../src/protocol/session-resource.ts";
import type { OfferedTool, ToolFailure } from "../../src/protocol/tool.ts";
import { ChannelViolation } from "./framing.ts";
import { assertCheapJson } from "./json-cost.ts";

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
const Unsupported = z.object({ type: z.literal("unsupported"), message_type: z.string().max(100) });

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

/** What an installer reads from its standard input. */
export interface InstallerOrder {
  token: string;
  arguments: readonly string[];
  cwd: string;
  is_quiet: boolean;
  index_url: string;
  hosts: readonly string[];
}

const filePath = z.string().max(4_096);
const etag = z.string().min(2).max(128);
const fileSize = z.int().nonnegative();

/** What a process that works on files says. */
export const FilesMessage = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("listed"),
    path: filePath,
    entries: z.array(FileEntry).max(10_000),
    truncated: z.boolean(),
  }),
  z.object({ type: z.literal("opened"), path: filePath, size: fileSize, etag, modified_at: z.number() }),
  z.object({ type: z.literal("staged"), size: fileSize }),
  z.object({
    type: z.literal("written"),
    files: z.array(z.object({ path: filePath, size: fileSize, etag, is_new: z.boolean() })),
  }),
  z.object({ type: z.literal("deleted") }),
  z.object({ type: z.literal("entry"), entry: FileEntry, is_new: z.boolean() }),
  z.object({ type: z.literal("watching") }),
  z.object({ type: z.literal("changed"), files: z.array(FileChange).max(200), truncated: z.boolean() }),
  z.object({
    type: z.literal("file_refused"),
    code: z.enum([
      "invalid_path",
      "invalid_request",
      "not_found",
      "not_empty",
      "precondition_failed",
      "workspace_full",
      "runner_error",
    ]),
    detail: z.string().max(500),
  }),
  Unsupported,
]);
export type FilesMessage = z.infer<typeof FilesMessage>;
export type FilesMessageOf<T extends FilesMessage["type"]> = Extract<FilesMessage, { type: T }>;

/** What must be true of a file that is replaced: its etag is one of these, or it exists (`*`); or the opposite. */
export interface FileCondition {
  if_match?: string[] | "*";
  if_none_match?: string[] | "*";
}

/** What the runner asks of a process that works on files. */
export type FilesRequest =
  | { type: "list_files"; path: string; recursive: boolean }
  | { type: "read_file"; path: string }
  | { type: "send"; start: number; end: number }
  | ({ type: "write_file"; path: string; folder: string | null; size?: number } & FileCondition)
  | ({ type: "commit_files"; folder: string | null } & FileCondition)
  | { type: "delete_file"; path: string; recursive: boolean }
  | { type: "move_file"; from: string; to: string }
  | { type: "make_folder"; path: string }
  | { type: "watch_files" }
  | { type: "report_files" };

/** Environment variables that the client keeps for the session; null removes one. */
export type SessionEnv = Readonly<Record<string, string | null>>;

/** The tools that an execution may call. */
export interface OfferedTools {
  tools: readonly OfferedTool[];
  max_tool_calls: number;
  max_parallel_tool_calls: number;
}

/** What became of a tool call. */
export type ToolAnswer = { type: "tool_answer"; call_id: string } & (
  | { status: "ok"; value: unknown }
  | { status: "error"; error: ToolFailure }
  | { status: "timed_out" | "cancelled" }
);

/** A message from the runner to a process. */
export type RunnerMessage =
  | { type: "spawn"; token: string; snapshot_token?: string }
  | { type: "spawn_files"; id: string; token: string }
  | FilesRequest
  | { type: "signal"; id: string; pid: number; signal: number }
  | { type: "sweep"; id: string; keep: number[] }
  | { type: "interrupts"; id: string }
  | ({ type: "execute"; execution_id: string; code: string; env?: SessionEnv } & Partial<OfferedTools>)
  | { type: "input_response"; input_id: string; value: string | null }
  | ToolAnswer
  | {
      type: "snapshot";
      id: string;
      token: string;
      drop: number[];
      max_resident_bytes?: number;
      is_resting?: boolean;
    }
  | { type: "reap"; id: string; drop: number[] }
  | { type: "complete"; id: string; code: string; cursor: number }
  | { type: "is_complete"; id: string; code: string }
  | { type: "variables"; id: string }
  | { type: "load"; id: string; clear_existing: boolean }
  | { type: "serialize"; id: string; token: string; max_blob_bytes: number; max_workspace_bytes: number }
  | { type: "install"; id: string; request: InstallerOrder }
  | { type: "install_answer"; install_id: string; status: InstallStatus; detail: string }
  | { type: "response"; status: number; headers: Readonly<Record<string, string>>; problem?: string }
  | { type: "broken"; problem: string }
  | { type: "exit" };

/** @throws ChannelViolation if the payload is not JSON of that shape. */
export function parseMessage<Schema extends z.ZodType>(schema: Schema, payload: Buffer): z.infer<Schema> {
  assertCheapJson(payload);
  let value: unknown;
  try {
    value = JSON.parse(payload.toString("latin1"));
  } catch (cause) {
    throw new ChannelViolation("a message is not JSON", { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ChannelViolation(`a message has the wrong shape at ${issue?.path.join(".") || "its type"}`);
}
