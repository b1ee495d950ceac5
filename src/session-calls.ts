/** Owns the types of the calls that the front makes on a client's Durable Object. `ClientSession` implements them. */
import type { z } from "zod";
import type { Grant } from "./grant.ts";
import type { Outcome } from "./problem.ts";
import type { BranchBody, BranchOutcome, UndoBody, UndoOutcome } from "./protocol/branch.ts";
import type { CheckpointId, ClientId, ExecutionId, MessageId, SessionName } from "./protocol/identity.ts";
import type { ExecuteAccepted, ExecuteBody, Execution, ExecutionList } from "./protocol/rest.ts";
import type { Checkpoint, Completeness, Completions, RestoreOutcome } from "./protocol/server-message.ts";
import type { SessionBody, SessionList, SessionOverview, VariableList } from "./protocol/session-resource.ts";
import type { ToolBindings, ToolDefinition, ToolResult } from "./protocol/tool.ts";

/** Who is calling, established by the front; the object trusts it. */
export interface Caller {
  tenant: string;
  clientId: ClientId;
  requestId: string;
  /** What its token allows; absent: everything. */
  grant?: Grant;
  /** The trace that the call belongs to; absent: none. */
  traceparent?: string | undefined;
}

/** An execution: as an object if it is small, else as JSON that is put together while it is read. */
export type ExecutionAnswer = Execution | ReadableStream<Uint8Array>;

export type EventStreamFormat = "sse" | "ndjson";

/** One call on the files of a session, as the runner takes it. */
export interface FileCall {
  method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Below the runner's route for files, for example `/content`. */
  path: "" | "/content" | "/move" | "/directory";
  query: string;
  headers: Record<string, string>;
  body: ReadableStream<Uint8Array> | null;
  /** Of the body, in bytes; null if it is not known. */
  length: number | null;
}

/** The runner's answer to a call on files; a failed call is a problem instead. */
export interface FileAnswer {
  status: number;
  headers: Record<string, string>;
  body: ReadableStream<Uint8Array> | null;
  /** Of the body, in bytes; null if it is not known. */
  length: number | null;
}

/** Implemented by `ClientSession`; every call names its caller. */
export interface SessionCalls {
  execute(caller: Caller, body: z.output<typeof ExecuteBody>): Promise<Outcome<z.infer<typeof ExecuteAccepted>>>;
  /** Resolves when the execution has ended or waits for an answer; after `seconds` with null. */
  waitForExecution(caller: Caller, executionId: ExecutionId, seconds: number): Promise<Outcome<ExecutionAnswer | null>>;
  getExecution(caller: Caller, executionId: ExecutionId): Promise<Outcome<ExecutionAnswer>>;
  listExecutions(
    caller: Caller,
    query: { session?: SessionName; limit: number; before?: string },
  ): Promise<Outcome<z.infer<typeof ExecutionList>>>;
  /** The execution's events after `after`, live until it ends; the stream pushes back. */
  streamEvents(
    caller: Caller,
    executionId: ExecutionId,
    after: number,
    format: EventStreamFormat,
  ): Promise<Outcome<ReadableStream<Uint8Array>>>;
  cancel(caller: Caller, executionId: ExecutionId): Promise<Outcome<ExecutionAnswer>>;
  answerInput(caller: Caller, executionId: ExecutionId, inputId: string, value: string | null): Promise<Outcome<null>>;
  /** The execution as it is then, or after `waitSeconds` at most, or at its next stop. */
  answerTools(
    caller: Caller,
    executionId: ExecutionId,
    results: readonly ToolResult[],
    waitSeconds: number,
  ): Promise<Outcome<ExecutionAnswer>>;
  getTools(caller: Caller, session: SessionName): Promise<Outcome<ToolBindings>>;
  /** Replaces the session's tools. */
  setTools(caller: Caller, session: SessionName, tools: readonly ToolDefinition[]): Promise<Outcome<ToolBindings>>;
  createCheckpoint(caller: Caller, session: SessionName, name?: string): Promise<Outcome<Checkpoint>>;
  listCheckpoints(caller: Caller, session?: SessionName): Promise<Outcome<{ checkpoints: Checkpoint[] }>>;
  getCheckpoint(caller: Caller, id: CheckpointId): Promise<Outcome<Checkpoint>>;
  deleteCheckpoint(caller: Caller, id: CheckpointId): Promise<Outcome<null>>;
  restore(
    caller: Caller,
    session: SessionName,
    id: CheckpointId,
    clearExisting: boolean,
  ): Promise<Outcome<z.infer<typeof RestoreOutcome>>>;
  /** Makes a session with the state of another one, or of a checkpoint. */
  branch(caller: Caller, body: z.output<typeof BranchBody>): Promise<Outcome<BranchOutcome>>;
  /** Brings back the state right before an execution. */
  undo(caller: Caller, body: z.output<typeof UndoBody>): Promise<Outcome<UndoOutcome>>;
  getSession(caller: Caller, session: SessionName): Promise<Outcome<SessionOverview>>;
  /** Makes a session, or changes one. */
  putSession(
    caller: Caller,
    session: SessionName,
    body: SessionBody,
  ): Promise<Outcome<{ isNew: boolean; overview: SessionOverview }>>;
  /** `not_found` if the client has neither made nor used it. */
  findSession(caller: Caller, session: SessionName): Promise<Outcome<SessionOverview>>;
  listVariables(caller: Caller, session: SessionName): Promise<Outcome<VariableList>>;
  listSessions(caller: Caller): Promise<Outcome<z.infer<typeof SessionList>>>;
  interruptSession(caller: Caller, session: SessionName): Promise<Outcome<SessionOverview>>;
  resetSession(caller: Caller, session: SessionName): Promise<Outcome<SessionOverview>>;
  deleteSession(caller: Caller, session: SessionName, purge: boolean): Promise<Outcome<null>>;
  /** Makes one call on the session's files; content streams in both directions. */
  callFiles(caller: Caller, session: SessionName, call: FileCall): Promise<Outcome<FileAnswer>>;
  complete(
    caller: Caller,
    session: SessionName,
    code: string,
    cursor: number,
  ): Promise<Outcome<z.infer<typeof Completions>>>;
  isComplete(caller: Caller, session: SessionName, code: string): Promise<Outcome<z.infer<typeof Completeness>>>;
  /** A runner has news and no link. `unknown`: the object no longer uses that incarnation, so the runner should end it. */
  ring(session: SessionName, key: string): Promise<"taken" | "unknown">;
}

/** Headers by which the front tells the object who opens a WebSocket. The front overwrites such headers of the client. */
export const SOCKET_HEADERS = {
  /** As `encodeURIComponent` writes it, since a header holds Latin-1 only. */
  tenant: "x-pyrepl-tenant",
  clientId: "x-pyrepl-client-id",
  session: "x-pyrepl-session",
  requestId: "x-pyrepl-request-id",
  /** What the token allows, as JSON. */
  grant: "x-pyrepl-grant",
  /** The trace that the upgrade belongs to, if there is one. */
  traceparent: "x-pyrepl-traceparent",
  /** The subprotocol that the object selects, if the client offered one. */
  subprotocol: "x-pyrepl-subprotocol",
} as const;

/** A client-chosen id for an execution, or a new one. */
export function newExecutionId(id?: MessageId): ExecutionId {
  return (id ?? crypto.randomUUID()) as ExecutionId;
}
