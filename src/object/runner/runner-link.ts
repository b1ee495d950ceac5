/** Owns one WebSocket to a runner: its opening, its requests with their deadlines, its end. Events and notices go to the listener. */
import type { z } from "zod";
import { withAbortAfter } from "../../deadline.ts";
import { logLine } from "../../log.ts";
import type { LinkEvent, LinkOpen } from "../../protocol/link.ts";
import { decodeEventFrame, LinkReply, type LinkRequest, type SessionKey } from "../../protocol/link.ts";
import type { ProblemCode } from "../../protocol/problem.ts";
import { fetchRunner } from "../../runner-fetch.ts";
import { notePassed } from "./collect-garbage.ts";

export type Opened = Extract<LinkReply, { type: "opened" }>;
/** A reply that answers one request; `opened`, `session`, `started` and `draining` come unasked. */
export type Answer = Extract<LinkReply, { ref: string }>;
type Asking = Extract<LinkRequest, { ref: string }>;
type WithoutRef<T> = T extends unknown ? Omit<T, "ref"> : never;

/** Why a link could not be opened, or a request on it was not answered. */
export type LinkFault =
  | "unreachable"
  | "not_found"
  | "pool_exhausted"
  | "draining"
  | "runner_error"
  | "closed"
  | "late";

export class LinkError extends Error {
  override name = "LinkError";
  readonly fault: LinkFault;
  readonly retryAfter: number | undefined;

  constructor(fault: LinkFault, detail: string, retryAfter?: number) {
    super(detail);
    this.fault = fault;
    this.retryAfter = retryAfter;
  }
}

/** The runner answered a request with `failed`. */
export class RequestFailed extends Error {
  override name = "RequestFailed";
  readonly code: ProblemCode;

  constructor(code: ProblemCode, detail: string) {
    super(detail);
    this.code = code;
  }
}

export interface LinkListener {
  /** Called before any event, in the same turn in which the link counts as open. */
  onOpened(link: RunnerLink, opened: Opened): void;
  onEvent(link: RunnerLink, event: LinkEvent): void;
  /** A reply that answers no request of this link. */
  onReply(link: RunnerLink, reply: LinkReply): void;
  /** Nothing came or went for the idle time. The link stays open unless the listener closes it. */
  onIdle(link: RunnerLink): void;
  /** Called once when an open link closes, unless `close` closed it. */
  onClosed(link: RunnerLink): void;
}

export interface LinkOptions {
  url: string;
  key: SessionKey;
  token: string;
  open: Omit<z.input<typeof LinkOpen>, "type">;
  openDeadlineMs: number;
  /** The request that the link is opened for, and its trace. */
  requestId: string | undefined;
  traceparent: string | undefined;
  idleMs: number;
  listener: LinkListener;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

const CLOSE_NORMAL = 1000;
const CLOSE_VIOLATION = 1008;

export class RunnerLink {
  readonly #options: LinkOptions;
  readonly #waiting = new Map<string, Waiting>();
  #socket: WebSocket | null = null;
  #state: "opening" | "open" | "closed" = "opening";
  #nextRef = 1;
  #idleTimer: ReturnType<typeof setTimeout> | null = null;
  #lastUsedMs = 0;
  /** Credit that the runner has left, as far as the edge knows. */
  credit: number;

  private constructor(options: LinkOptions) {
    this.#options = options;
    this.credit = options.open.credit;
  }

  /** Opens a link. @throws LinkError if the runner cannot be reached or refuses. */
  static async open(options: LinkOptions): Promise<RunnerLink> {
    const link = new RunnerLink(options);
    await link.#connect();
    return link;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  get hasWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  tell(request: Exclude<LinkRequest, { ref: string }>): void {
    this.#send(request);
  }

  grant(bytes: number): void {
    this.credit += bytes;
    this.#send({ type: "credit", bytes });
  }

  /** Sends a request and waits for its answer. @throws RequestFailed if the runner says so, LinkError if no answer comes. */
  ask<T extends WithoutRef<Asking>>(request: T, deadlineMs: number): Promise<Answer> {
    const ref = String(this.#nextRef);
    this.#nextRef += 1;
    return new Promise<Answer>((resolve, reject) => {
      if (this.#state !== "open") {
        reject(new LinkError("closed", "The link to the runner is closed."));
        return;
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(ref);
        reject(new LinkError("late", "The runner did not answer in time."));
      }, deadlineMs);
      this.#waiting.set(ref, { resolve, reject, timer });
      this.#send({ ...request, ref } as unknown as Asking);
    });
  }

  /** Closes the link without a call of the listener. */
  close(): void {
    this.#end(CLOSE_NORMAL, false);
  }

  async #connect(): Promise<void> {
    const { url, key, token, open, openDeadlineMs, requestId, traceparent } = this.#options;
    try {
      await withAbortAfter(openDeadlineMs, async (late) => {
        const response = await fetchRunner(new URL(`/v1/sessions/${key}/link`, url), {
          headers: {
            upgrade: "websocket",
            authorization: `Bearer ${token}`,
            ...(requestId === undefined ? {} : { "x-request-id": requestId }),
            ...(traceparent === undefined ? {} : { traceparent }),
          },
          signal: late,
        });
        const socket = response.webSocket;
        if (socket === null) {
          await response.body?.cancel();
          throw new LinkError(
            response.status === 404 ? "not_found" : response.status === 503 ? "draining" : "runner_error",
            `The runner answered ${response.status} to a link.`,
          );
        }
        this.#socket = socket;
        await this.#openOn(socket, open, late);
      });
    } catch (error) {
      this.#end(CLOSE_NORMAL, false);
      if (error instanceof LinkError) throw error;
      throw new LinkError("unreachable", "The runner cannot be reached.");
    }
  }

  #openOn(socket: WebSocket, open: LinkOptions["open"], late: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      late.addEventListener("abort", () => reject(new LinkError("unreachable", "The runner does not answer.")));
      socket.addEventListener("message", (message) => this.#receive(message.data, resolve, reject));
      socket.addEventListener("close", () => {
        reject(new LinkError("unreachable", "The link closed."));
        this.#end(CLOSE_NORMAL, true);
      });
      socket.addEventListener("error", () => {
        reject(new LinkError("unreachable", "The link broke."));
        this.#end(CLOSE_NORMAL, true);
      });
      socket.accept();
      socket.send(JSON.stringify({ ...open, type: "open" } satisfies z.input<typeof LinkOpen>));
    });
  }

  #receive(text: string | ArrayBuffer, resolve: () => void, reject: (error: Error) => void): void {
    if (this.#state === "closed") return;
    this.#lastUsedMs = Date.now();
    const { listener } = this.#options;
    try {
      if (typeof text !== "string") throw new SyntaxError("binary");
      const event = decodeEventFrame(text);
      if (event !== null) {
        this.credit -= event.bytes;
        notePassed(event.bytes);
        listener.onEvent(this, event);
        return;
      }
      const reply = LinkReply.parse(JSON.parse(text));
      if (reply.type === "opened") {
        this.#state = "open";
        this.#watchSilence();
        listener.onOpened(this, reply);
        resolve();
      } else if (reply.type === "refused") {
        reject(new LinkError(reply.code, reply.detail, reply.retry_after));
      } else if ("ref" in reply && this.#waiting.has(reply.ref)) {
        this.#settle(reply);
      } else {
        listener.onReply(this, reply);
      }
    } catch (error) {
      // A runner that breaks the contract counts as gone. The log does not repeat what it sent.
      logLine("error", "the runner sent an invalid frame", {
        requestId: this.#options.requestId,
        error: nameOf(error),
      });
      reject(new LinkError("runner_error", "The runner sent an invalid frame."));
      this.#end(CLOSE_VIOLATION, true);
    }
  }

  #settle(reply: Answer): void {
    const waiting = this.#waiting.get(reply.ref);
    if (waiting === undefined) return;
    this.#waiting.delete(reply.ref);
    clearTimeout(waiting.timer);
    if (reply.type === "failed") waiting.reject(new RequestFailed(reply.code, reply.detail));
    else waiting.resolve(reply);
  }

  #send(request: LinkRequest): void {
    if (this.#state !== "open") return;
    this.#lastUsedMs = Date.now();
    this.#socket?.send(JSON.stringify(request));
  }

  #watchSilence(): void {
    const leftMs = Math.max(0, this.#lastUsedMs + this.#options.idleMs - Date.now());
    this.#idleTimer = setTimeout(
      () => {
        if (this.#state !== "open") return;
        if (Date.now() - this.#lastUsedMs >= this.#options.idleMs) {
          // If the listener keeps the link, it is called again after another idle time.
          this.#lastUsedMs = Date.now();
          if (!this.hasWaiting) this.#options.listener.onIdle(this);
        }
        if (this.isOpen) this.#watchSilence();
      },
      Math.max(10, leftMs),
    );
  }

  #end(code: number, tellListener: boolean): void {
    const wasOpen = this.#state === "open";
    if (this.#state === "closed") return;
    this.#state = "closed";
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new LinkError("closed", "The link to the runner closed."));
    }
    this.#waiting.clear();
    try {
      this.#socket?.close(code);
    } catch {
      // workerd throws if the runner has closed the socket already.
    }
    if (wasOpen && tellListener) this.#options.listener.onClosed(this);
  }
}

/** An error's message without its stack, since a stack would repeat what the runner sent. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}
