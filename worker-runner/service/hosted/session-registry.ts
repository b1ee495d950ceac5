/** Owns the sessions of this runner by their keys, and whether new ones are accepted. */
import type { LinkReply, SessionKey } from "../../../src/protocol/link.ts";
import type { SessionContract } from "../../session/session-contract.ts";
import { SessionError } from "../../session/session-error.ts";
import type { EdgeCalls } from "../edge-calls.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Tracing } from "../tracing.ts";
import { HostedSession, type OpenOutcome, type OpenRequest } from "./hosted-session.ts";
import { RoomMaker } from "./room-maker.ts";
import { describeFailure } from "./session-problem.ts";
import { describeStatus } from "./session-status.ts";

/** Where sessions come from; `SessionPool` implements it. */
export interface SessionSource {
  /** How many waiting callers can only be served if a session is released. */
  readonly missing: number;
  /**
   * @param options.isRoomComing a full house is worth waiting for.
   * @throws SessionError `pool_exhausted`, `draining`, `interpreter_failed`.
   */
  acquire(options: { environment?: string | undefined; isRoomComing: boolean }): Promise<SessionContract>;
}

export interface SessionRegistryOptions {
  source: SessionSource;
  runnerId: string;
  version: string;
  ringMaxBytes: number;
  orphanMs: number;
  /** A session that was idle for this long may be stored to make room for another. */
  giveWayMs: number;
  spoolDir: string;
  edge: EdgeCalls | null;
  metrics: Metrics;
  tracing: Tracing;
  log: Logger;
}

/** The edge may ask a full runner again after this many seconds. */
const RETRY_AFTER_SECONDS = 1;

/** When the runner stops, running executions get this share of the time. Storing the states needs the rest. */
const HURRY_SHARE = 0.4;
/** Code that has noticed the interrupt gets this share to clean up. */
const CLEAN_UP_SHARE = 0.2;

export class SessionRegistry {
  readonly #options: SessionRegistryOptions;
  readonly #hosted = new Map<SessionKey, HostedSession>();
  /** Sessions that are being fetched from the pool. A second link for the same key waits for the same session. */
  readonly #opening = new Map<SessionKey, Promise<HostedSession>>();
  readonly #room: RoomMaker;
  #isDraining = false;
  #onEmpty: (() => void) | null = null;

  constructor(options: SessionRegistryOptions) {
    this.#options = options;
    this.#room = new RoomMaker({
      sessions: () => this.#hosted.values(),
      missing: () => options.source.missing,
      idleMs: options.giveWayMs,
    });
  }

  /** Whether a full house could still take a session, because an idle one can be stored. */
  get canMakeRoom(): boolean {
    return this.#room.canMakeRoom;
  }

  get size(): number {
    return this.#hosted.size + this.#opening.size;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  get links(): number {
    return this.#sum((hosted) => (hosted.hasLink ? 1 : 0));
  }

  get ringBytes(): number {
    return this.#sum((hosted) => hosted.ring.bytes);
  }

  find(key: SessionKey): HostedSession | undefined {
    return this.#hosted.get(key);
  }

  /** Finds the session that a link asks for, or creates it. */
  async open(key: SessionKey, request: OpenRequest): Promise<OpenOutcome> {
    const known = this.#hosted.get(key);
    const coming = known ?? this.#opening.get(key);
    if (coming !== undefined) return this.#opened(await coming, known === undefined);
    if (!request.create) return refusal("not_found", "The runner does not have this session.");
    if (this.#isDraining) return refusal("draining", "The runner is stopping.");
    const opening = this.#create(key, request);
    this.#opening.set(key, opening);
    try {
      return this.#opened(await opening, true);
    } catch (error) {
      return this.#explain(error);
    } finally {
      this.#opening.delete(key);
      this.#noteIfEmpty();
    }
  }

  /** Ends and forgets a session. @returns false if it is unknown. */
  async remove(key: SessionKey): Promise<boolean> {
    const hosted = this.#hosted.get(key) ?? (await this.#opening.get(key)?.catch(() => undefined));
    await hosted?.shutdown();
    return hosted !== undefined;
  }

  /**
   * Refuses new sessions, tells the edge to store the present ones, and waits until it has.
   *
   * @param graceMs the longest wait. Executions that still run after 40 % of it are interrupted, so that the state can be stored.
   */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.size === 0) return;
    const deadline = AbortSignal.timeout(graceMs);
    const hurry = setTimeout(() => {
      for (const hosted of this.#hosted.values()) hosted.hurry(graceMs * CLEAN_UP_SHARE);
    }, graceMs * HURRY_SHARE);
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      deadline.addEventListener("abort", () => resolve(), { once: true });
      if (deadline.aborted) resolve();
    });
    for (const hosted of this.#hosted.values()) hosted.drain();
    await empty;
    clearTimeout(hurry);
  }

  /** Ends every session. */
  async shutdown(): Promise<void> {
    this.#isDraining = true;
    await Promise.allSettled(this.#opening.values());
    await Promise.allSettled(Array.from(this.#hosted.values(), (hosted) => hosted.shutdown()));
  }

  async #create(key: SessionKey, request: OpenRequest): Promise<HostedSession> {
    const { source, log } = this.#options;
    const acquiring = source.acquire({ environment: request.environment, isRoomComing: this.#room.canMakeRoom });
    const session = await this.#room.whileWaiting(acquiring);
    session.numberFrom(request.base);
    const hosted = new HostedSession({
      ...this.#options,
      key,
      name: request.session,
      object: request.object,
      session,
      log: log.child({ session: session.id }),
      onIdle: this.#room.pulse,
      onRemoved: () => {
        this.#hosted.delete(key);
        this.#room.pulse();
        this.#noteIfEmpty();
      },
    });
    this.#hosted.set(key, hosted);
    if (this.#isDraining) hosted.drain();
    return hosted;
  }

  #opened(hosted: HostedSession, isCreated: boolean): OpenOutcome {
    const { runnerId: runner_id, version } = this.#options;
    const status = describeStatus(hosted.session.activity);
    return { hosted, opened: { type: "opened", created: isCreated, runner_id, version, ...status } };
  }

  #explain(error: unknown): OpenOutcome {
    const failure = describeFailure(error);
    if (failure.isOurs) this.#options.log.error({ err: error }, "a session could not be started");
    if (!(error instanceof SessionError)) return refusal("runner_error", failure.detail);
    if (error.code === "draining") return refusal("draining", failure.detail);
    if (error.code === "pool_exhausted" || error.code === "deadline") return refusal("pool_exhausted", failure.detail);
    return refusal("runner_error", failure.detail);
  }

  #noteIfEmpty(): void {
    if (this.size === 0) this.#onEmpty?.();
  }

  #sum(figure: (hosted: HostedSession) => number): number {
    let sum = 0;
    for (const hosted of this.#hosted.values()) sum += figure(hosted);
    return sum;
  }
}

function refusal(code: Extract<LinkReply, { type: "refused" }>["code"], detail: string): OpenOutcome {
  const isPassing = code === "pool_exhausted";
  return { refused: { type: "refused", code, detail, ...(isPassing ? { retry_after: RETRY_AFTER_SECONDS } : {}) } };
}
