/** Owns what happens to each message that comes over a client's WebSocket: parsed once, delegated, answered with its id. */
import { isLongerThan } from "../byte-length.ts";
import { fieldErrors, type ProblemInit, toProblem } from "../problem.ts";
import { ClientMessage } from "../protocol/client-message.ts";
import { MessageId } from "../protocol/identity.ts";
import type { ClientSocket } from "./clients/client-socket.ts";
import { frameOf } from "./clients/edge-frames.ts";
import { problemOf } from "./outcome.ts";
import * as actions from "./session/actions.ts";
import type { NamedSession } from "./session/named-session.ts";
import { checkpointOf } from "./store/checkpoint-store.ts";

export interface SocketMessagesOptions {
  maxFrameBytes: number;
  /** @returns 0, or the seconds to wait where there are too many messages. */
  takeMessage(): number;
  /** Refuses a session too many. @throws ProblemError `session_limit`. */
  claim(session: NamedSession): void;
  waitUntil(work: Promise<unknown>): void;
}

type Message<T extends ClientMessage["type"]> = Extract<ClientMessage, { type: T }>;

export class SocketMessages {
  readonly #options: SocketMessagesOptions;

  constructor(options: SocketMessagesOptions) {
    this.#options = options;
  }

  /** Takes one frame. Whatever is wrong with it becomes a `problem`; the socket stays open. */
  receive(session: NamedSession, socket: ClientSocket, frame: string | ArrayBuffer): void {
    const message = this.#parse(socket, frame);
    if (message?.type !== "attach") session.heard(socket);
    if (message === null) return;
    try {
      const work = this.#answer(session, socket, message);
      if (work === null) return;
      this.#options.waitUntil(work.catch((error: unknown) => sendProblem(socket, problemOf(error), message.id)));
    } catch (error) {
      sendProblem(socket, problemOf(error), message.id);
    }
  }

  #parse(socket: ClientSocket, frame: string | ArrayBuffer): ClientMessage | null {
    const { maxFrameBytes } = this.#options;
    if (typeof frame !== "string") {
      if (!this.#isWithinRate(socket, undefined)) return null;
      sendProblem(socket, { code: "invalid_request", detail: "A message is JSON text, not binary." });
      return null;
    }
    if (isLongerThan(frame, maxFrameBytes)) {
      sendProblem(socket, { code: "payload_too_large", detail: `A frame has at most ${maxFrameBytes} bytes.` });
      return null;
    }
    let value: unknown;
    try {
      value = JSON.parse(frame);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      if (this.#isWithinRate(socket, undefined)) {
        sendProblem(socket, { code: "invalid_request", detail: "The frame is not JSON." });
      }
      return null;
    }
    const parsed = ClientMessage.safeParse(value);
    // Acknowledging is what a client should do as often as it can.
    if (parsed.success && parsed.data.type === "ack") return parsed.data;
    const id = idOf(value);
    if (!this.#isWithinRate(socket, id)) return null;
    if (parsed.success) return parsed.data;
    const errors = fieldErrors(parsed.error);
    const isUnknownType = errors.some((error) => error.path === "type" || error.path === "");
    sendProblem(
      socket,
      {
        code: "invalid_request",
        detail: isUnknownType ? "The message's type is not known." : "The message is not valid.",
        errors,
      },
      id,
    );
    return null;
  }

  #isWithinRate(socket: ClientSocket, id: string | undefined): boolean {
    const retryAfter = this.#options.takeMessage();
    if (retryAfter === 0) return true;
    sendProblem(socket, { code: "rate_limited", detail: "Too many messages.", retryAfter }, id);
    return false;
  }

  /** @returns null where everything is done. */
  #answer(session: NamedSession, socket: ClientSocket, message: ClientMessage): Promise<void> | null {
    switch (message.type) {
      case "execute":
        return this.#execute(session, socket, message);
      case "input_response":
        return actions.answerInput(session, message.input_id, message.value);
      case "checkpoint":
        this.#options.claim(session);
        return actions.checkpoint(session, message.name).then((record) => {
          const data = checkpointOf(record);
          const { checkpoint_id } = data;
          socket.send(frameOf({ type: "checkpoint_created", id: message.id, checkpoint_id, data }));
        });
      case "restore":
        this.#options.claim(session);
        return actions.restore(session, message.checkpoint_id, message.clear_existing).then((data) => {
          const { checkpoint_id } = data;
          socket.send(frameOf({ type: "restored", id: message.id, checkpoint_id, data }));
          session.announce({ state: "restored", reason: "restore", checkpointId: checkpoint_id }, socket);
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
          socket.send(session.announcementFrame(what, message.id));
          session.announce(what, socket);
        });
      case "attach":
        return this.#attach(session, socket, message);
      case "ack":
        session.delivery.acknowledge(socket, message.seq);
        return null;
      case "complete":
        this.#options.claim(session);
        return actions.complete(session, message.code, message.cursor).then((data) => {
          socket.send(frameOf({ type: "completions", id: message.id, data }));
        });
      case "is_complete":
        this.#options.claim(session);
        return actions.isComplete(session, message.code).then((data) => {
          socket.send(frameOf({ type: "completeness", id: message.id, data }));
        });
      case "ping":
        socket.send(frameOf({ type: "pong", id: message.id, data: {} }));
        return null;
      default:
        return message satisfies never;
    }
  }

  #execute(session: NamedSession, socket: ClientSocket, message: Message<"execute">): Promise<void> | null {
    this.#options.claim(session);
    const request = actions.requestOf(message, session.parts.settings.MAX_TIMEOUT_SECONDS);
    const submitted = actions.execute(session, request, (problem) => sendProblem(socket, problem, message.id));
    if (!submitted.known) return submitted.sent;
    const { executionId, firstSeq: first, lastSeq: last } = submitted.record;
    if (first !== null && last !== null) session.delivery.replay(socket, executionId, { first, last });
    return submitted.record.status === "running" ? session.catchUp() : null;
  }

  #attach(session: NamedSession, socket: ClientSocket, message: Message<"attach">): Promise<void> | null {
    socket.attach(message.window, message.after, message.id);
    const finish = () => {
      socket.isHeld = false;
      if (!session.needsCatchUp(true)) socket.comeDownTo(session.journal.lastSeq);
      session.delivery.pump(socket);
      session.delivery.progressed();
    };
    const needsMore = (message.after ?? 0) > session.journal.lastSeq;
    if (!session.needsCatchUp(needsMore)) {
      finish();
      return null;
    }
    // Live events wait in the journal meanwhile, so that they come after what is sent again.
    socket.isHeld = true;
    return session.catchUp(needsMore).finally(finish);
  }
}

/** Tells a socket what went wrong with the message of that id. */
export function sendProblem(socket: ClientSocket, init: ProblemInit, id?: string): void {
  socket.send(frameOf({ type: "problem", id, data: toProblem(init, socket.state.requestId) }));
}

/** The id of a message that is otherwise wrong, for the problem that answers it. */
function idOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("id" in value)) return undefined;
  const id = MessageId.safeParse(value.id);
  return id.success ? id.data : undefined;
}
