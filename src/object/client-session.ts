/** Owns the Durable Object of one client: it takes sockets, calls and alarms, finds the session, and delegates to it. */
import { DurableObject } from "cloudflare:workers";
import type { Bindings } from "../env.ts";
import type { Grant } from "../grant.ts";
import { notFound, ProblemError, type ProblemInit } from "../problem.ts";
import type { CheckpointId, ExecutionId, SessionName } from "../protocol/identity.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type { SessionBody } from "../protocol/session-resource.ts";
import type { ToolDefinition, ToolResult } from "../protocol/tool.ts";
import { RateLimit, RateLimits } from "../rate-limit.ts";
import type { Caller, EventStreamFormat, FileCall, SessionCalls } from "../session-calls.ts";
import { CheckpointCalls } from "./checkpoint-calls.ts";
import { acceptSocket, readSocketCaller, switchToSocket } from "./clients/accept-socket.ts";
import { closeIfExpired, nextExpiryMs } from "./clients/token-expiry.ts";
import { ExecutionCalls } from "./execution-calls.ts";
import { outcomeOf } from "./outcome.ts";
import * as actions from "./session/actions.ts";
import { ClientStores, logFailure, UNUSED_MS } from "./session/client-stores.ts";
import { callFiles } from "./session/file-calls.ts";
import { overviewOf, overviewOfUnused } from "./session/overview.ts";
import { exists, putSession } from "./session/session-resource.ts";
import { SessionBook } from "./session-book.ts";
import { SocketMessages } from "./socket-messages.ts";

/** Close codes that only the platform may use. */
const UNSENDABLE_CLOSE_CODES = [1005, 1006, 1015];
const CLOSE_NORMAL = 1000;
/** Room in a frame or body for everything except the tool's value. */
const TOOL_FRAME_EXTRA_BYTES = 64 * 1024;

/** The parts that rest on the client's storage. */
interface Made {
  stores: ClientStores;
  book: SessionBook;
  executions: ExecutionCalls;
  checkpoints: CheckpointCalls;
}

export class ClientSession extends DurableObject<Bindings> implements SessionCalls {
  /** Null once everything was deleted, until the next call: the tables are made with it. */
  #made: Made | null = null;
  readonly #rates: RateLimits;
  readonly #messages: SocketMessages;
  #isAwake = false;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    const { settings } = this.#stores;
    this.#rates = new RateLimits(new RateLimit(settings.RATE_LIMIT_PER_SECOND, settings.RATE_LIMIT_BURST, Date.now()));
    this.#messages = new SocketMessages({
      maxFrameBytes: settings.MAX_FRAME_BYTES,
      maxToolFrameBytes: settings.MAX_TOOL_VALUE_BYTES + TOOL_FRAME_EXTRA_BYTES,
      takeMessage: (bytes, grant) =>
        this.#rates.take(
          grant?.messagesPerSecond ?? null,
          Date.now(),
          Math.ceil((bytes + 1) / DEFAULT_LIMITS.messageUnitBytes),
        ),
      claim: (session, grant) => this.#book.claim(session, grant),
      branch: (session, name, grant) => this.#book.branch(session, name, undefined, grant),
      waitUntil: (work) => ctx.waitUntil(work),
    });
    // The platform answers this exact text without waking the object. Other pings wake it.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('{"type":"ping"}', '{"type":"pong","data":{}}'));
  }

  /** Accepts a client's WebSocket; the front has said who it is. */
  override async fetch(request: Request): Promise<Response> {
    const caller = readSocketCaller(request);
    const { tenant, clientId, grant } = caller;
    const session = this.#book.open(caller.session);
    this.#stores.noteOwner({ tenant, clientId });
    this.#awaken();
    const refusal = this.#refusalOfSocket(grant);
    if (refusal !== null) return Response.json(refusal, { status: 429 });
    const { client, socket } = acceptSocket(this.ctx, caller, session.context.newestSeenSeq);
    if (grant.expiresAt !== null) this.#stores.wantAlarm(grant.expiresAt * 1000);
    this.#book.bind(session, socket);
    session.welcome(socket);
    return switchToSocket(client, caller);
  }

  override webSocketMessage(ws: WebSocket, frame: string | ArrayBuffer): void {
    this.#awaken();
    const found = this.#book.socketOf(ws);
    if (found === null || closeIfExpired(found.socket, Date.now())) return;
    this.#stores.noteOwner(found.socket.state);
    this.#stores.cause = found.socket.state;
    this.#messages.receive(found.session, found.socket, frame);
  }

  override webSocketClose(ws: WebSocket, code: number, reason: string): void {
    const found = this.#book.socketOf(ws);
    found?.socket.close(UNSENDABLE_CLOSE_CODES.includes(code) ? CLOSE_NORMAL : code, reason);
    this.#forget(found);
  }

  override webSocketError(ws: WebSocket): void {
    this.#forget(this.#book.socketOf(ws));
  }

  override async alarm(): Promise<void> {
    this.#stores.noteAlarm();
    const sockets = this.#book.sockets().filter((socket) => !closeIfExpired(socket, Date.now()));
    const dueMs = await this.#book.lookAfter();
    await this.#stores.tenant.settleNow().catch((error: unknown) => logFailure(error));
    const nextMs = Math.min(dueMs ?? Number.POSITIVE_INFINITY, nextExpiryMs(sockets) ?? Number.POSITIVE_INFINITY);
    if (nextMs < Number.POSITIVE_INFINITY) this.#stores.wantAlarm(nextMs);
    else if (sockets.length > 0) this.#stores.wantAlarm(Date.now() + UNUSED_MS);
    else await this.#deleteEverything();
  }

  get #stores(): ClientStores {
    return this.#open().stores;
  }

  get #book(): SessionBook {
    return this.#open().book;
  }

  get #checkpoints(): CheckpointCalls {
    return this.#open().checkpoints;
  }

  get #executions(): ExecutionCalls {
    return this.#open().executions;
  }

  #open(): Made {
    if (this.#made === null) {
      const stores = new ClientStores(this.ctx, this.env);
      const book = new SessionBook(stores);
      this.#made = {
        stores,
        book,
        executions: new ExecutionCalls(stores, book),
        checkpoints: new CheckpointCalls(stores, book),
      };
    }
    return this.#made;
  }

  async execute(caller: Caller, body: Parameters<SessionCalls["execute"]>[1]) {
    return this.#call(caller, () => this.#executions.start(body, caller.grant));
  }

  async waitForExecution(caller: Caller, executionId: ExecutionId, seconds: number) {
    return this.#call(caller, () => this.#executions.wait(executionId, seconds));
  }

  async getExecution(caller: Caller, executionId: ExecutionId) {
    return this.#call(caller, () => this.#executions.get(executionId));
  }

  async listExecutions(caller: Caller, query: Parameters<SessionCalls["listExecutions"]>[1]) {
    return this.#call(caller, () => this.#executions.list(query));
  }

  async streamEvents(caller: Caller, executionId: ExecutionId, after: number, format: EventStreamFormat) {
    return this.#call(caller, () => this.#executions.stream(executionId, after, format));
  }

  async cancel(caller: Caller, executionId: ExecutionId) {
    return this.#call(caller, () => this.#executions.cancel(executionId));
  }

  async answerInput(caller: Caller, executionId: ExecutionId, inputId: string, value: string | null) {
    return this.#call(caller, () => this.#executions.answerInput(executionId, inputId, value));
  }

  async answerTools(caller: Caller, executionId: ExecutionId, results: readonly ToolResult[], waitSeconds: number) {
    return this.#call(caller, () => this.#executions.answerTools(executionId, results, waitSeconds));
  }

  async getTools(caller: Caller, name: SessionName) {
    return this.#call(caller, () => this.#book.find(name)?.tools.bindings ?? { tools: [] });
  }

  async setTools(caller: Caller, name: SessionName, tools: readonly ToolDefinition[]) {
    return this.#call(caller, () => {
      const session = tools.length === 0 ? this.#book.open(name) : this.#book.use(name, caller.grant);
      return session.tools.define(tools);
    });
  }

  async createCheckpoint(caller: Caller, name: SessionName, checkpointName?: string) {
    return this.#call(caller, () => this.#checkpoints.create(name, checkpointName, caller.grant));
  }

  async listCheckpoints(caller: Caller, session?: SessionName) {
    return this.#call(caller, () => this.#checkpoints.list(session));
  }

  async getCheckpoint(caller: Caller, id: CheckpointId) {
    return this.#call(caller, () => this.#checkpoints.get(id));
  }

  async deleteCheckpoint(caller: Caller, id: CheckpointId) {
    return this.#call(caller, () => this.#checkpoints.delete(id));
  }

  async restore(caller: Caller, name: SessionName, id: CheckpointId, clearExisting: boolean) {
    return this.#call(caller, () => this.#checkpoints.restore(name, id, clearExisting, caller.grant));
  }

  async branch(caller: Caller, body: Parameters<SessionCalls["branch"]>[1]) {
    return this.#call(caller, () => this.#checkpoints.branch(body, caller.grant));
  }

  async undo(caller: Caller, body: Parameters<SessionCalls["undo"]>[1]) {
    return this.#call(caller, () => this.#checkpoints.undo(body));
  }

  async getSession(caller: Caller, name: SessionName) {
    return this.#call(caller, () => this.#overviewOf(name));
  }

  async putSession(caller: Caller, name: SessionName, body: SessionBody) {
    return this.#call(caller, async () => {
      const session = this.#book.use(name, caller.grant);
      const isNew = await putSession(session, body).finally(() => session.context.unclaim());
      return { isNew, overview: await overviewOf(session) };
    });
  }

  async findSession(caller: Caller, name: SessionName) {
    return this.#call(caller, () => {
      const session = this.#book.find(name);
      if (session === null || !exists(session)) throw notFound("session");
      return overviewOf(session);
    });
  }

  async listVariables(caller: Caller, name: SessionName) {
    return this.#call(caller, () => actions.listVariables(this.#book.use(name, caller.grant)));
  }

  async listSessions(caller: Caller) {
    return this.#call(caller, async () => ({ sessions: await Promise.all(this.#book.listed().map(overviewOf)) }));
  }

  async interruptSession(caller: Caller, name: SessionName) {
    return this.#call(caller, async () => {
      const session = this.#book.find(name);
      if (session !== null) await actions.interrupt(session);
      return this.#overviewOf(name);
    });
  }

  async resetSession(caller: Caller, name: SessionName) {
    return this.#call(caller, async () => {
      const session = this.#book.find(name);
      if (session !== null) {
        await actions.reset(session);
        session.context.announce({ state: "reset", reason: "reset" });
      }
      return this.#overviewOf(name);
    });
  }

  async deleteSession(caller: Caller, name: SessionName, purge: boolean) {
    return this.#call(caller, async () => {
      const session = this.#book.find(name);
      if (session !== null && (session.context.isInUse || session.context.record.phase !== "new")) {
        await session.idle.end(purge, purge ? "purged" : "ended");
      }
      return null;
    });
  }

  async callFiles(caller: Caller, name: SessionName, call: FileCall) {
    return this.#call(caller, () => callFiles(this.#book.use(name, caller.grant), call));
  }

  async complete(caller: Caller, name: SessionName, code: string, cursor: number) {
    return this.#call(caller, () => {
      const session = this.#book.use(name, caller.grant);
      return actions.complete(session, code, cursor);
    });
  }

  async isComplete(caller: Caller, name: SessionName, code: string) {
    return this.#call(caller, () => {
      const session = this.#book.use(name, caller.grant);
      return actions.isComplete(session, code);
    });
  }

  async ring(name: SessionName, key: string): Promise<"taken" | "unknown"> {
    this.#awaken();
    const session = this.#book.find(name);
    if (session?.context.record.incarnation?.key !== key) return "unknown";
    await session.incarnations.resume();
    return "taken";
  }

  /** Why the client may not open one more socket; null: it may. */
  #refusalOfSocket({ messagesPerSecond }: Grant): ProblemInit | null {
    const { MAX_SOCKETS_PER_CLIENT: max } = this.#stores.settings;
    if (this.ctx.getWebSockets().length >= max) {
      return { code: "rate_limited", detail: `A client has at most ${max} sockets; close one first.`, retryAfter: 5 };
    }
    const retryAfter = this.#rates.take(messagesPerSecond, Date.now());
    return retryAfter === 0 ? null : { code: "rate_limited", detail: "Too many calls.", retryAfter };
  }

  #call<T>(caller: Caller, work: () => T | Promise<T>) {
    return outcomeOf(async () => {
      this.#stores.noteOwner(caller);
      this.#stores.cause = { requestId: caller.requestId, traceparent: caller.traceparent };
      this.#awaken();
      const retryAfter = this.#rates.take(caller.grant?.messagesPerSecond ?? null, Date.now());
      if (retryAfter > 0) throw new ProblemError({ code: "rate_limited", detail: "Too many calls.", retryAfter });
      return work();
    }, caller.requestId);
  }

  /** The session as it is now. Nothing is written for a name that was never used. */
  #overviewOf(name: SessionName) {
    const session = this.#book.find(name);
    return session === null ? overviewOfUnused(this.#stores, name) : overviewOf(session);
  }

  #awaken(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#book.awaken();
  }

  #forget(found: ReturnType<SessionBook["socketOf"]>): void {
    if (found === null) return;
    const { delivery } = found.session.context;
    delivery.sockets.delete(found.socket);
    delivery.onProgress();
  }

  async #deleteEverything(): Promise<void> {
    await this.#stores.checkpoints.clear();
    await this.#stores.storage.settle().catch(logFailure);
    await this.#stores.forgetClient();
    await this.ctx.storage.deleteAll();
    this.#made = null;
  }
}
