/** Owns the pool of sessions that are started in advance: their number, and giving each to one caller only. */
import { Backoff } from "../backoff.ts";
import { Session } from "../session/session.ts";
import { SessionError } from "../session/session-error.ts";
import type { SessionOptions } from "../session/session-options.ts";
import { type AcquireOptions, Borrowers } from "./borrowers.ts";

/** After a session was lent, starting others waits this long if some are ready. */
const REFILL_AFTER_MS = 30;
/** A busy machine may fail to start a session once or twice. Failures for this long mean that Python or its sandbox is broken. */
const BROKEN_AFTER_MS = 1000;

export interface PoolOptions extends SessionOptions {
  /** How many sessions are kept ready (5). */
  minIdle?: number;
  /** The most sessions at a time: ready, lent and starting ones together (100). */
  maxSessions?: number;
  /** How many sessions start at the same time (2). */
  maxStarting?: number;
  /** How long `acquire` waits by default for a session that can be started (30,000). */
  acquireDeadlineMs?: number;
  /** How long `acquire` waits at most if every session is in use, so that one must be released first (3,000). */
  fullDeadlineMs?: number;
  /** The wait after the first failed start. It doubles with each further failure, up to `startRetryMaxMs` (100 and 10,000). */
  startRetryMs?: number;
  startRetryMaxMs?: number;
  /** Called when sessions can no longer be started, with the reason, and with null when one has started again. */
  onBroken?: (reason: string | null) => void;
}

export interface PoolHealth {
  state: "new" | "open" | "draining" | "ended";
  /** Whether `acquire` can be expected to succeed. */
  isReady: boolean;
  idle: number;
  lent: number;
  starting: number;
  waiting: number;
  /** Failed starts since the last successful one, and the last error. */
  failedStarts: number;
  lastFailure: string | null;
}

export interface PoolMetrics {
  started: number;
  failedStarts: number;
  acquired: number;
  released: number;
  /** Ready sessions that ended before they were lent. */
  brokenIdle: number;
}

/**
 * @example
 * const pool = new SessionPool({ minIdle: 1 });
 * await pool.start();
 * const session = await pool.acquire();
 * for await (const message of session.execute({ code: "print('hi')" })) console.log(message);
 * await pool.release(session);
 * await pool.shutdown();
 */
export class SessionPool {
  readonly #options: PoolOptions;
  readonly #minIdle: number;
  readonly #maxSessions: number;
  readonly #maxStarting: number;
  readonly #idle: Session[] = [];
  readonly #lent = new Set<Session>();
  /** Starts and shutdowns that are under way. `shutdown` waits for them. */
  readonly #underWay = new Set<Promise<void>>();
  readonly #borrowers = new Borrowers<Session>();
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  readonly #counts: PoolMetrics = { started: 0, failedStarts: 0, acquired: 0, released: 0, brokenIdle: 0 };
  #state: PoolHealth["state"] = "new";
  #starting = 0;
  #retry: NodeJS.Timeout | null = null;
  #refill: NodeJS.Timeout | null = null;
  #lentAt = Number.NEGATIVE_INFINITY;
  #lastFailure: string | null = null;
  /** When the first start failed after the last successful one. */
  #failingSinceMs: number | null = null;
  #broken: string | null = null;
  #ended: Promise<void> | null = null;

  constructor(options: PoolOptions = {}) {
    this.#options = options;
    this.#maxSessions = options.maxSessions ?? 100;
    this.#minIdle = Math.min(options.minIdle ?? 5, this.#maxSessions);
    this.#maxStarting = options.maxStarting ?? 2;
    this.#backoff = new Backoff({ firstMs: options.startRetryMs ?? 100, longestMs: options.startRetryMaxMs ?? 10_000 });
  }

  /**
   * Starts filling the pool. It goes on in the background.
   *
   * @returns once the first session is ready, or at once if none is kept ready.
   * @throws SessionError `interpreter_failed` if the first session cannot be started: the installation is wrong.
   */
  async start(): Promise<void> {
    if (this.#state !== "new") throw new SessionError("invalid_call", "the pool was started before");
    if (this.#minIdle > 0) this.#takeIn(await this.#startSession());
    this.#state = "open";
    this.#pulse();
  }

  get idle(): number {
    return this.#idle.length;
  }

  get starting(): number {
    return this.#starting;
  }

  get lent(): number {
    return this.#lent.size;
  }

  /** How many waiting callers can only be served if a lent session is released. */
  get missing(): number {
    const free = Math.max(0, this.#maxSessions - this.#lent.size - this.#idle.length - this.#starting);
    return Math.max(0, this.#borrowers.count - this.#idle.length - this.#starting - free);
  }

  /** Why no session can be started: starts have failed for a second. null while they succeed. */
  get broken(): string | null {
    return this.#broken;
  }

  /** Whether `acquire` can be expected to succeed. */
  get isReady(): boolean {
    if (this.#broken !== null) return false;
    return this.#state === "open" && (this.#idle.length > 0 || (this.#hasRoom && this.#backoff.failures === 0));
  }

  /**
   * A session for this caller only. It ends with `release` or its own `shutdown`.
   *
   * @throws SessionError `pool_exhausted`, `draining`, `aborted`, `interpreter_failed` (the last start failed, too; without a wait if the pool is broken and has no session ready).
   */
  async acquire({
    signal,
    isRoomComing = false,
    deadlineMs = this.#patienceMs(isRoomComing),
  }: AcquireOptions = {}): Promise<Session> {
    if (this.#state !== "open") throw new SessionError("draining", `the pool is ${this.#state}`);
    if (this.#broken !== null && this.#idle.length === 0) throw new SessionError("interpreter_failed", this.#broken);
    const startedAt = performance.now();
    const borrowed = this.#borrowers.wait({ signal, deadlineMs });
    this.#pulse();
    const session = await borrowed.catch((error: SessionError) => {
      const isBroken = error.code === "pool_exhausted" && this.#backoff.failures > 0;
      throw isBroken ? new SessionError("interpreter_failed", this.#lastFailure ?? error.message) : error;
    });
    this.#options.metrics?.acquired?.((performance.now() - startedAt) / 1000);
    return session;
  }

  /** Ends a session that `acquire` gave. The second call does nothing. */
  async release(session: Session): Promise<void> {
    await session.shutdown();
  }

  health(): PoolHealth {
    return {
      state: this.#state,
      isReady: this.isReady,
      idle: this.#idle.length,
      lent: this.#lent.size,
      starting: this.#starting,
      waiting: this.#borrowers.count,
      failedStarts: this.#backoff.failures,
      lastFailure: this.#lastFailure,
    };
  }

  metrics(): PoolMetrics {
    return { ...this.#counts };
  }

  /** Lends no more sessions. Lent ones continue. */
  drain(): void {
    if (this.#state === "ended") return;
    this.#state = "draining";
    this.#borrowers.refuseAll(() => new SessionError("draining", "the pool is draining"));
    for (const session of this.#idle.splice(0)) this.#finish(session);
  }

  /** Ends every session, including lent ones. Safe to call twice. */
  shutdown(): Promise<void> {
    this.#ended ??= this.#shutdown();
    return this.#ended;
  }

  async #shutdown(): Promise<void> {
    this.drain();
    this.#state = "ended";
    this.#abort.abort();
    for (const timer of [this.#retry, this.#refill]) if (timer) clearTimeout(timer);
    for (const session of this.#lent) this.#finish(session);
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #patienceMs(isRoomComing: boolean): number {
    const { acquireDeadlineMs = 30_000, fullDeadlineMs = 3_000 } = this.#options;
    const isFull = this.#lent.size + this.#borrowers.count >= this.#maxSessions;
    return isFull && !isRoomComing ? Math.min(fullDeadlineMs, acquireDeadlineMs) : acquireDeadlineMs;
  }

  get #hasRoom(): boolean {
    return this.#idle.length + this.#lent.size + this.#starting < this.#maxSessions;
  }

  /** Decides what happens next. Every change calls it. */
  #pulse(): void {
    if (this.#state !== "open") return;
    while (this.#borrowers.count > 0) {
      const session = this.#idle.shift();
      if (!session) break;
      if (!session.hasEnded) this.#lend(session);
    }
    if (this.#retry) return;
    // Delay refilling: starting an interpreter competes for the processor with the session that was just lent.
    const quietMs = this.#lentAt + REFILL_AFTER_MS - performance.now();
    if (quietMs > 0 && this.#idle.length > 0) {
      this.#refill ??= setTimeout(() => {
        this.#refill = null;
        this.#pulse();
      }, quietMs);
      return;
    }
    while (this.#isShort && this.#hasRoom && this.#starting < this.#maxStarting) this.#startOne();
  }

  get #isShort(): boolean {
    // After a failure one more is started, even if nobody waits: only a start shows that sessions can be started again.
    const trials = this.#backoff.failures > 0 ? 1 : 0;
    return this.#idle.length + this.#starting < this.#minIdle + this.#borrowers.count + trials;
  }

  #lend(session: Session): void {
    this.#lent.add(session);
    if (this.#borrowers.serve(session)) {
      this.#lentAt = performance.now();
      this.#counts.acquired += 1;
      return;
    }
    this.#lent.delete(session);
    this.#idle.unshift(session);
  }

  #startOne(): void {
    const starting = this.#startSession().then(
      (session) => {
        this.#noteSuccess();
        if (this.#state === "open") this.#takeIn(session);
        else this.#finish(session);
      },
      (error: Error) => this.#noteFailure(error),
    );
    this.#track(starting.finally(() => this.#pulse()));
  }

  async #startSession(): Promise<Session> {
    this.#starting += 1;
    try {
      const session = await Session.start(this.#options, this.#abort.signal);
      this.#counts.started += 1;
      return session;
    } finally {
      this.#starting -= 1;
    }
  }

  #noteSuccess(): void {
    this.#backoff.noteSuccess();
    this.#failingSinceMs = null;
    if (this.#broken === null) return;
    this.#broken = null;
    this.#options.onBroken?.(null);
  }

  #noteFailure(error: Error): void {
    if (this.#state !== "open") return;
    this.#counts.failedStarts += 1;
    this.#lastFailure = error.message;
    this.#failingSinceMs ??= performance.now();
    if (this.#broken === null && performance.now() - this.#failingSinceMs >= BROKEN_AFTER_MS) {
      this.#broken = error.message;
      this.#borrowers.refuseAll(() => new SessionError("interpreter_failed", error.message));
      this.#options.onBroken?.(error.message);
    }
    const waitMs = this.#backoff.noteFailure();
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      this.#pulse();
    }, waitMs);
  }

  #takeIn(session: Session): void {
    session.subscribe({
      state: (state) => {
        if (state === "ended") this.#noteEnded(session);
      },
    });
    this.#idle.push(session);
  }

  #noteEnded(session: Session): void {
    const index = this.#idle.indexOf(session);
    if (index >= 0) {
      this.#idle.splice(index, 1);
      this.#counts.brokenIdle += 1;
    }
    if (this.#lent.delete(session)) this.#counts.released += 1;
    this.#pulse();
  }

  #finish(session: Session): void {
    this.#track(session.shutdown());
  }

  #track(work: Promise<void>): void {
    const tracked: Promise<void> = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }
}
