/** Owns one pool for each Python environment, and the limit on the sessions of all of them together. */
import type { Session } from "../session/session.ts";
import { SessionError } from "../session/session-error.ts";
import type { AcquireOptions } from "./borrowers.ts";
import type { SessionPool } from "./session-pool.ts";

export class EnvironmentPools {
  readonly #pools: ReadonlyMap<string, SessionPool>;
  readonly #default: SessionPool;
  readonly #maxSessions: number;

  /** @param pools by the environment's name; the first one serves sessions that name none. */
  constructor(pools: ReadonlyMap<string, SessionPool>, maxSessions: number) {
    const [first] = pools.values();
    if (first === undefined) throw new SessionError("invalid_call", "there is no environment");
    this.#pools = pools;
    this.#default = first;
    this.#maxSessions = maxSessions;
  }

  /** Starts every pool. @throws SessionError `interpreter_failed`. */
  async start(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.start()));
  }

  /** A session of an environment. @throws SessionError as `SessionPool.acquire` does, `interpreter_failed` for an unknown environment. */
  acquire({ environment, ...options }: AcquireOptions & { environment?: string | undefined } = {}): Promise<Session> {
    const pool = environment === undefined ? this.#default : this.#pools.get(environment);
    if (pool === undefined) {
      return Promise.reject(new SessionError("interpreter_failed", "the runner does not have this environment"));
    }
    const others = this.#sum((each) => (each === pool ? 0 : each.lent));
    if (others > 0 && others + pool.lent >= this.#maxSessions) {
      return Promise.reject(new SessionError("pool_exhausted", "every session is in use"));
    }
    return pool.acquire(options);
  }

  get idle(): number {
    return this.#sum((pool) => pool.idle);
  }

  get starting(): number {
    return this.#sum((pool) => pool.starting);
  }

  get missing(): number {
    return this.#sum((pool) => pool.missing);
  }

  get isReady(): boolean {
    return this.#default.isReady;
  }

  /** Environments whose sessions cannot be started, with the reason. */
  get broken(): ReadonlyMap<string, string> {
    const entries = [...this.#pools].map(([name, pool]) => [name, pool.broken] as const);
    return new Map(entries.filter((entry): entry is [string, string] => entry[1] !== null));
  }

  async shutdown(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.shutdown()));
  }

  #sum(figure: (pool: SessionPool) => number): number {
    return [...this.#pools.values()].reduce((sum, pool) => sum + figure(pool), 0);
  }
}
