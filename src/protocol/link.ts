/** Owns the frames between edge and runner (docs/link.md). They use the words of the client's messages wherever these fit. */
import { z } from "zod";
import { RunnerCapabilities } from "./capabilities.ts";
import { TransactionPolicy } from "./client-message.ts";
import { EventType } from "./event.ts";
import { CheckpointId, ExecutionId, Seq, SessionName, Timestamp } from "./identity.ts";
import { ProblemCode } from "./problem.ts";
import { Completeness, Completions } from "./server-message.ts";
import { VariableList } from "./session-resource.ts";
import { Missing, PendingInput, PendingToolCall } from "./session-state.ts";
import { CallId, OfferedTool, ToolFailure } from "./tool.ts";
import { TRACEPARENT_MAX_CHARS } from "./trace.ts";

/** Names one incarnation of a session on one runner; minted by the edge, unguessable, never used again. */
export const SessionKey = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,128}$/)
  .brand<"SessionKey">();
export type SessionKey = z.infer<typeof SessionKey>;

/** A part of a checkpoint's blob. Equal parts have equal hashes, so the edge fetches and stores only those that it lacks. */
export interface BlobPiece {
  sha256: string;
  size: number;
}

/** The longest piece that a runner cuts. */
export const MAX_PIECE_BYTES = 512 * 1024;

/** Hash and size. */
const piece = z.tuple([z.string().regex(/^[0-9a-f]{64}$/), z.int().positive()]);

/** Tells one request on the link from another; the reply carries the same. */
const ref = z.string().min(1).max(160);

export const LinkOpen = z.object({
  type: z.literal("open"),
  session: SessionName,
  /** Events with a greater seq are sent. */
  after: Seq,
  /** A new session's first event gets `base + 1`. */
  base: Seq,
  /** False: the session must exist already; the runner answers `refused` with `not_found` otherwise. */
  create: z.boolean(),
  /** Bytes of event frames that the runner may send at first. */
  credit: z.int().nonnegative(),
  /** Absent: `default`. */
  environment: z.string().max(64).optional(),
  /** Where the runner rings when there is news and no link. */
  object: z.string(),
});

export const LinkRequest = z.discriminatedUnion("type", [
  LinkOpen,
  z.object({ type: z.literal("durable"), seq: Seq }),
  z.object({ type: z.literal("credit"), bytes: z.int().positive() }),
  /** From here on output frames have at most `bytes` bytes, as far as that is possible; 0 lifts the limit. */
  z.object({ type: z.literal("frame_limit"), bytes: z.int().nonnegative() }),
  /**
   * How much of each execution's output is of use while no client acknowledges: its first and its last bytes. The runner leaves out the
   * middle and says so by one `output_truncated`. null: all of it is of use.
   */
  z.object({
    type: z.literal("keep_output"),
    limit: z.object({ head_bytes: z.int().nonnegative(), tail_bytes: z.int().nonnegative() }).nullable(),
  }),
  /** The session does not give way: a client uses it, or its state cannot be stored. */
  z.object({ type: z.literal("stay") }),
  z.object({
    type: z.literal("execute"),
    execution_id: ExecutionId,
    code: z.string(),
    transaction_policy: TransactionPolicy,
    timeout: z.number().positive(),
    /** The ending then tells which files the execution has changed. */
    report_files: z.boolean().optional(),
    /** Absent: none. */
    tools: z.array(OfferedTool).optional(),
    max_tool_calls: z.int().nonnegative().optional(),
    max_parallel_tool_calls: z.int().positive().optional(),
    /** The request that caused it, for the runner's log. */
    request_id: z.string().max(128).optional(),
    /** The trace that it belongs to. */
    traceparent: z.string().max(TRACEPARENT_MAX_CHARS).optional(),
  }),
  z.object({ type: z.literal("input_response"), ref, input_id: z.string(), value: z.string().nullable() }),
  z.object({
    type: z.literal("tool_result"),
    ref,
    call_id: CallId,
    value: z.unknown().optional(),
    error: ToolFailure.optional(),
  }),
  z.object({ type: z.literal("cancel"), ref, execution_id: ExecutionId }),
  z.object({ type: z.literal("interrupt"), ref }),
  z.object({ type: z.literal("reset"), ref }),
  z.object({ type: z.literal("complete"), ref, code: z.string(), cursor: z.int().nonnegative() }),
  z.object({ type: z.literal("is_complete"), ref, code: z.string() }),
  z.object({ type: z.literal("variables"), ref }),
  /** All environment variables of the session; each execution that is sent later finds them. */
  z.object({ type: z.literal("env"), values: z.record(z.string(), z.string()) }),
  /** Answered by `checkpoint_taken` once the runner holds the blob; the edge then fetches it over HTTP. */
  z.object({ type: z.literal("checkpoint"), ref, checkpoint_id: CheckpointId }),
  /** Needs the snapshot (`blob: false`) or a blob that was PUT before (`blob: true`). */
  z.object({
    type: z.literal("restore"),
    ref,
    checkpoint_id: CheckpointId,
    clear_existing: z.boolean(),
    blob: z.boolean(),
  }),
  /** The state right before that execution comes back, or before the last execution that has a copy. Answered by `undone`. */
  z.object({ type: z.literal("undo"), ref, execution_id: ExecutionId.optional() }),
  z.object({ type: z.literal("drop_checkpoint"), checkpoint_id: CheckpointId }),
  z.object({ type: z.literal("status"), ref }),
]);
export type LinkRequest = z.infer<typeof LinkRequest>;

/** The activity of a session, as the runner reports it. */
export const RunnerSessionState = z.enum(["starting", "ready", "busy", "ended"]);

const status = {
  state: RunnerSessionState,
  last_seq: Seq,
  running: ExecutionId.nullable(),
  /** When that began; null if nothing runs. */
  running_since: Timestamp.nullable(),
  queued: z.array(ExecutionId),
  pending_input: PendingInput.nullable(),
  pending_tool_calls: z.array(PendingToolCall).default([]),
};

export const LinkReply = z.discriminatedUnion("type", [
  z.object({ type: z.literal("opened"), created: z.boolean(), runner_id: z.string(), version: z.string(), ...status }),
  z.object({
    type: z.literal("refused"),
    code: z.enum(["not_found", "pool_exhausted", "draining", "runner_error"]),
    detail: z.string(),
    retry_after: z.number().optional(),
  }),
  /** An execution that has begun a moment ago and said nothing yet. */
  z.object({ type: z.literal("started"), execution_id: ExecutionId, started_at: z.number() }),
  /** Whether it is busy is not among it: the edge knows that from the executions. */
  z.object({
    type: z.literal("session"),
    state: z.enum(["restored", "reset", "ended"]),
    reason: z.string(),
  }),
  z.object({ type: z.literal("done"), ref, execution_id: ExecutionId.nullable().optional() }),
  z.object({ type: z.literal("completions"), ref, data: Completions }),
  z.object({ type: z.literal("completeness"), ref, data: Completeness }),
  z.object({ type: z.literal("variables"), ref, data: VariableList }),
  z.object({
    type: z.literal("checkpoint_taken"),
    ref,
    checkpoint_id: CheckpointId,
    size: z.int().nonnegative(),
    sha256: z.string(),
    skipped: z.array(Missing),
    /** What is installed in the session. */
    packages: z.array(z.string()).default([]),
    /** The blob, cut where its content says. */
    pieces: z.array(piece).default([]),
    /** Seconds for which the session could not run code. */
    pause: z.number(),
  }),
  z.object({
    type: z.literal("restored"),
    ref,
    checkpoint_id: CheckpointId,
    source: z.enum(["snapshot", "stored"]),
    missing: z.array(Missing),
  }),
  z.object({ type: z.literal("undone"), ref, execution_id: ExecutionId }),
  /** The answer to `restore` with `blob: false` if the snapshot is gone. */
  z.object({ type: z.literal("blob_required"), ref, checkpoint_id: CheckpointId }),
  z.object({ type: z.literal("failed"), ref, code: ProblemCode, detail: z.string() }),
  z.object({
    type: z.literal("status"),
    ref,
    ...status,
    resident_bytes: z.int().nullable(),
    limit_bytes: z.int().nullable(),
    snapshots: z.int().nonnegative(),
    /** Executions that can be undone, newest first. */
    undo: z.array(ExecutionId).default([]),
    /** What is installed in the session. */
    packages: z.array(z.string()).default([]),
  }),
  /** Every place is taken and another session needs one: the edge should store this session and end it on the runner. */
  z.object({ type: z.literal("give_way") }),
  /** The runner will stop: the edge should checkpoint and hand over. */
  z.object({ type: z.literal("draining") }),
]);
export type LinkReply = z.infer<typeof LinkReply>;

/** The line in front of an event frame: its seq, type and execution, its bytes in UTF-8, and with an execution's first event when that began. */
export const EventHeader = z.tuple([
  z.literal("E"),
  Seq,
  EventType,
  ExecutionId,
  z.int().nonnegative(),
  Timestamp.optional(),
]);
export type EventHeader = z.infer<typeof EventHeader>;

/** An event on its way over the link. */
export interface LinkEvent {
  seq: number;
  type: EventType;
  executionId: ExecutionId;
  /** What clients get. */
  frame: string;
  /** Of `frame` in UTF-8. */
  bytes: number;
  /** Unix seconds at which the execution began; on its first event. */
  startedAt?: number | undefined;
}

const EVENT_TYPES: ReadonlySet<string> = new Set(EventType.options);

/** The line that comes before an event's frame, its line feed included. */
export function encodeEventHeader({ seq, type, executionId, bytes, startedAt }: Omit<LinkEvent, "frame">): string {
  const began = startedAt === undefined ? "" : `,${startedAt}`;
  return `["E",${seq},"${type}",${JSON.stringify(executionId)},${bytes}${began}]\n`;
}

/** Puts an event behind its header line; `frame` stays as it is. */
export function encodeEventFrame(event: LinkEvent): string {
  return encodeEventHeader(event) + event.frame;
}

/**
 * Takes an event frame of the link apart without parsing the client's part.
 *
 * @returns null for a frame that is no event (a `LinkReply`).
 * @throws SyntaxError if the header is malformed.
 */
export function decodeEventFrame(text: string): LinkEvent | null {
  if (text.charCodeAt(0) !== 0x5b) return null;
  const end = text.indexOf("\n");
  // By hand, since this runs for every event: a schema would cost more than all the rest of the way.
  const header = JSON.parse(text.slice(0, end)) as EventHeader;
  const [mark, seq, type, executionId, bytes, startedAt] = header;
  const isWhole =
    mark === "E" &&
    isCount(seq) &&
    EVENT_TYPES.has(type) &&
    typeof executionId === "string" &&
    executionId !== "" &&
    isCount(bytes) &&
    (startedAt === undefined || typeof startedAt === "number");
  if (!isWhole) throw new SyntaxError("an event's header is malformed");
  return { seq, type, executionId, frame: text.slice(end + 1), bytes, startedAt };
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** `POST /internal/v1/heartbeat`. */
export const Heartbeat = z.object({
  id: z.string().min(1).max(128),
  url: z.url(),
  capacity: z.int().nonnegative(),
  sessions: z.int().nonnegative(),
  draining: z.boolean(),
  version: z.string(),
  capabilities: RunnerCapabilities,
  /** Sessions that it can take now, by count and by memory; absent: `capacity - sessions`. */
  free: z.int().nonnegative().optional(),
  /** A full runner may be asked for a place all the same: it makes room by having an idle session stored. */
  gives_way: z.boolean().optional(),
  /** Names of its Python environments; absent: `default` alone. */
  environments: z.array(z.string().max(64)).max(64).optional(),
  /** Where it runs; a session prefers the region that it asks for. */
  region: z.string().max(64).optional(),
});
export type Heartbeat = z.infer<typeof Heartbeat>;

/** `POST /internal/v1/ring`. */
export const Ring = z.object({ object: z.string(), session: SessionName, key: SessionKey });
export type Ring = z.infer<typeof Ring>;
