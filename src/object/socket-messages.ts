/** Owns the handling of each message that a client sends over its WebSocket: parsed once, delegated, answered with its id. */
import { isLongerThan } from "../byte-length.ts";
import { fieldMessage } from "../field-message.ts";
import type { Grant } from "../grant.ts";
import { edgeMetrics } from "../metrics.ts";
import { fieldErrors, ProblemError, type ProblemInit, toProblem } from "../problem.ts";
import type { BranchOutcome } from "../protocol/branch.ts";
import { ClientMessage } from "../protocol/client-message.ts";
import { MessageId, type SessionName } from "../protocol/identity.ts";
import { parseTraceparent } from "../protocol/trace.ts";
import type { ClientSocket } from "./clients/client-socket.ts";
import { frameOf } from "./clients/edge-frames.ts";
import { idAtBeginning, refusalOf } from "./frame-hints.ts";
import { problemOf } from "./outcome.ts";
import * as actions from "./session/actions.ts";
import type { NamedSession } from "./session/named-session.ts";
import { checkpointOf } from "./store/checkpoint-store.ts";

export interface SocketMessagesOptions {
  maxFrameBytes: number;
  /** The longest frame that answers a tool call. */
  maxToolFrameBytes: number;
  /** Counts a message of this size. @returns 0, or the seconds to wait if there are too many. */
  takeMessage(bytes: number, grant: Grant | undefined): number;
  /** Counts the session against the client's limit. @throws ProblemError `session_limit`, `forbidden`. */
  claim(session: NamedSession, grant: Grant | undefined): void;
  /** Makes a session of that name with the state of this one. */
  branch(session: NamedSession, name: SessionName, grant: Grant | undefined): Promise<BranchOutcome>;
  waitUntil(work: Promise<unknown>): void;
}

/** Messages that use the session's interpreter, or start it. */
const USING: ReadonlySet<ClientMessage["type"]> = new Set([
  "execute",
  "checkpoint",
  "restore",
  "complete",
  "is_complete",
  "variables",
]);

/** Messages that a token for reading may send. */
const READING: ReadonlySet<ClientMessage["type"]> = new Set(["attach", "ack", "variables", "ping"]);
/** Longer than any acknowledgement. */
const SHORT_FRAME_CHARS = 1024;
const CLOSE_POLICY = 1008;

type Message<T extends ClientMessage["type"]> = Extract<ClientMessage, { type: T }>;

export class SocketMessages {
  readonly #options: SocketMessagesOptions;

  constructor(options: SocketMessagesOptions) {
    this.#options = options;
  }

  /** Handles one frame. An invalid frame is answered with a `problem`; the socket stays open. */
  receive(session: NamedSession, socket: ClientSocket, frame: string | ArrayBuffer): void {
    const message = this.#parse(session, socket, frame);
    if (message?.type !== "attach") session.release(socket);
    if (message === null) return;
    edgeMetrics.messages.add({ type: message.type });
    const { requestId } = socket.state;
    try {
      if (socket.state.grant?.isReadOnly && !READING.has(message.type)) {
        throw new ProblemError({ code: "forbidden", detail: "The token allows only messages that change nothing." });
      }
      if (USING.has(message.type)) this.#options.claim(session, socket.state.grant);
      const work = this.#answer(session, socket, message);
      if (work === null) return;
      this.#options.waitUntil(
        work.catch((error: unknown) => sendProblem(socket, problemOf(error, requestId), message.id)),
      );
    } catch (error) {
      sendProblem(socket, problemOf(error, requestId), message.id);
    }
  }

  /** A frame counts before it is parsed, by its size; what is too much is refused unparsed. */
  #parse(session: NamedSession, socket: ClientSocket, frame: string | ArrayBuffer): ClientMessage | null {
    const { maxFrameBytes, maxToolFrameBytes } = this.#options;
    if (typeof frame !== "string") {
      if (!this.#isWithinRate(socket, frame.byteLength, undefined)) return null;
      return this.#refuse(socket, { code: "invalid_request", detail: "A message is JSON text, not binary." });
    }
    const isFree = mayBeUnlimited(session, frame);
    if (!isFree && !this.#isWithinRate(socket, frame.length, frame)) return null;
    const tooLarge = { code: "payload_too_large", detail: `A frame has at most ${maxFrameBytes} bytes.` } as const;
    const isLong = isLongerThan(frame, maxFrameBytes);
    if (isLong && (!isFree || isLongerThan(frame, maxToolFrameBytes))) {
      return this.#refuse(socket, tooLarge, idAtBeginning(frame));
    }
    const refusal = refusalOf(frame);
    if (refusal !== null) return this.#refuse(socket, refusal, idAtBeginning(frame));
    let value: unknown;
    try {
      value = JSON.parse(frame);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      if (isFree && !this.#isWithinRate(socket, frame.length, undefined)) return null;
      return this.#refuse(socket, { code: "invalid_request", detail: "The frame is not JSON." });
    }
    const parsed = ClientMessage.safeParse(value, { error: fieldMessage });
    const id = idOf(value);
    if (isLong && !(parsed.success && parsed.data.type === "tool_result")) return this.#refuse(socket, tooLarge, id);
    const isUncounted = isFree && !(parsed.success && isUnlimited(session, socket, parsed.data));
    if (isUncounted && !this.#isWithinRate(socket, frame.length, frame)) return null;
    if (parsed.success) return parsed.data;
    const errors = fieldErrors(parsed.error);
    const isUnknownType = errors.some((error) => error.path === "type" || error.path === "");
    const detail = isUnknownType ? "The message's type is not known." : "The message is not valid.";
    return this.#refuse(socket, { code: "invalid_request", detail, errors }, id);
  }

  #refuse(socket: ClientSocket, problem: ProblemInit, id?: string): null {
    sendProblem(socket, problem, id);
    return null;
  }

  /** @param text the message, in which its id is looked for if it is refused. */
  #isWithinRate(socket: ClientSocket, size: number, text: string | undefined): boolean {
    const retryAfter = this.#options.takeMessage(size, socket.state.grant);
    if (retryAfter === 0) {
      socket.noteTaken();
      return true;
    }
    if (socket.noteRefusal(size)) {
      const id = text === undefined ? undefined : idAtBeginning(text);
      sendProblem(socket, { code: "rate_limited", detail: "Too many messages.", retryAfter }, id);
    } else {
      socket.close(CLOSE_POLICY, "too many messages");
    }
    return false;
  }

  /** @returns null if nothing is left to wait for. */
  #answer(session: NamedSession, socket: ClientSocket, message: ClientMessage): Promise<void> | null {
    switch (message.type) {
      case "execute":
        return this.#execute(session, socket, message);
      case "input_response":
        return actions.answerInput(session, message.input_id, message.value);
      case "checkpoint":
        return actions.checkpoint(session, message.name).then((record) => {
          const data = checkpointOf(record);
          const { checkpoint_id } = data;
          socket.send(frameOf({ type: "checkpoint_created", id: message.id, checkpoint_id, data }));
        });
      case "restore":
        return actions.restore(session, message.checkpoint_id, message.clear_existing).then((data) => {
          const { checkpoint_id } = data;
          socket.send(frameOf({ type: "restored", id: message.id, checkpoint_id, data }));
          session.context.announce({ state: "restored", reason: "restore", checkpointId: checkpoint_id }, socket);
        });
      case "cancel":
        return actions.cancel(session, message.execution_id).then(() => {
          socket.send(frameOf({ type: "cancelled", id: message.id, data: { execution_id: message.execution_id } }));
        });
      case "interrupt":
        return actions.interrupt(session).then((execution_id) => {
          socket.send(frameOf({ type: "interrupted", id: message.id, data: { execution_id } }));
        });
      case "reset":
        return actions.reset(session).then(() => {
          const what = { state: "reset", reason: "reset" } as const;
          socket.send(session.context.announcementFrame(what, message.id));
          session.context.announce(what, socket);
        });
      case "attach":
        return this.#attach(session, socket, message);
      case "ack":
        session.context.delivery.acknowledge(socket, message.seq);
        return null;
      case "complete":
        return actions.complete(session, message.code, message.cursor).then((data) => {
          socket.send(frameOf({ type: "completions", id: message.id, data }));
        });
      case "is_complete":
        return actions.isComplete(session, message.code).then((data) => {
          socket.send(frameOf({ type: "completeness", id: message.id, data }));
        });
      case "variables":
        return actions.listVariables(session).then((data) => {
          socket.send(frameOf({ type: "variables", id: message.id, data }));
        });
      case "branch":
        return this.#options.branch(session, message.name, socket.state.grant).then((data) => {
          socket.send(frameOf({ type: "branched", id: message.id, data }));
        });
      case "undo":
        return actions.undo(session, message.execution_id).then((data) => {
          socket.send(frameOf({ type: "undone", id: message.id, data }));
          session.context.announce({ state: "restored", reason: "undo" }, socket);
        });
      case "tools":
        if (message.tools.length > 0) this.#options.claim(session, socket.state.grant);
        socket.send(frameOf({ type: "tools", id: message.id, data: session.tools.define(message.tools) }));
        return null;
      case "tool_result":
        return session.tools.answer(message);
      case "ping":
        socket.send(frameOf({ type: "pong", id: message.id, data: {} }));
        return null;
      default:
        return message satisfies never;
    }
  }

  #execute(session: NamedSession, socket: ClientSocket, message: Message<"execute">): Promise<void> | null {
    const request = actions.requestOf(message, session.context.stores.settings.MAX_TIMEOUT_SECONDS);
    const { executionId } = request;
    const { stores } = session.context;
    if (message.traceparent !== undefined && parseTraceparent(message.traceparent) !== null) {
      stores.cause = { requestId: socket.state.requestId, traceparent: message.traceparent };
    }
    const submitted = actions.execute(session, request, (problem) => {
      socket.disown(executionId);
      sendProblem(socket, problem, message.id);
    });
    if (submitted.record.status === "running") socket.own(executionId);
    if (!submitted.known) {
      return (
        submitted.sent?.catch((error: unknown) => {
          socket.disown(executionId);
          throw error;
        }) ?? null
      );
    }
    const { firstSeq: first, lastSeq: last } = submitted.record;
    if (first !== null && last !== null) session.context.delivery.replay(socket, executionId, { first, last });
    return submitted.record.status === "running" ? session.catchUp() : null;
  }

  #attach(session: NamedSession, socket: ClientSocket, message: Message<"attach">): Promise<void> | null {
    socket.attach(message.window, message.after, message.id);
    socket.askedUpTo = session.context.journal.lastSeq;
    const finish = () => {
      socket.replay();
      if (!session.needsCatchUp(true)) socket.clampCursor(session.context.journal.lastSeq);
      session.context.delivery.pump(socket);
      session.context.delivery.onProgress();
    };
    const needsMore = (message.after ?? 0) > session.context.journal.lastSeq;
    if (!session.needsCatchUp(needsMore)) {
      finish();
      return null;
    }
    // The socket is holding: live events wait in the journal, so that they come after the replayed ones.
    return session.catchUp(needsMore).finally(finish);
  }
}

/** Answers the message with this id with a problem. */
export function sendProblem(socket: ClientSocket, init: ProblemInit, id?: string): void {
  edgeMetrics.problems.add({ code: init.code });
  socket.send(frameOf({ type: "problem", id, data: toProblem(init, socket.state.requestId) }));
}

/**
 * Acknowledgements of events that were sent are not limited, since clients should send them often; nor are answers to tool calls
 * that wait, of which there are no more than calls.
 */
function isUnlimited({ context }: NamedSession, socket: ClientSocket, message: ClientMessage): boolean {
  if (message.type === "tool_result") return context.pendingTools.find(message.call_id) !== undefined;
  return message.type === "ack" && socket.isNewAcknowledgement(message.seq);
}

/** Whether a frame that is not parsed yet may turn out to be unlimited. */
function mayBeUnlimited({ context }: NamedSession, frame: string): boolean {
  if (frame.length < SHORT_FRAME_CHARS && frame.includes('"ack"')) return true;
  return context.pendingTools.current.length > 0 && frame.includes('"tool_result"');
}

/** The id of a message that is otherwise wrong, for the problem that answers it. */
function idOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("id" in value)) return undefined;
  const id = MessageId.safeParse(value.id);
  return id.success ? id.data : undefined;
}
