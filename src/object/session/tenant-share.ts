/** Owns one client's share of its tenant's limits. It asks the ledger for each place, and gives unused places back. */

import { sleep } from "../../deadline.ts";
import type { Bindings, Settings } from "../../env.ts";
import { ProblemError } from "../../problem.ts";
import { reportToTenant, type TenantResource } from "../../tenant/tenant-report.ts";

/** A session that is quiet keeps its place for this long, so that executions in a row ask once. */
const KEEP_MS = 25;
/** A refusal counts if it still holds after these pauses: a place that is being given back is not missed. */
const ASK_AGAIN_AFTER_MS = [50, 100, 200];

/** Names of the client's sessions, by the limit that counts them. */
export type Holdings = Record<TenantResource, Iterable<string>>;

export interface TenantShareOptions {
  env: Bindings;
  settings: Settings;
  object: string;
  tenant: () => string;
  inBackground(work: Promise<unknown>): void;
}

export class TenantShare {
  readonly #options: TenantShareOptions;
  readonly #held: Record<TenantResource, Set<string>> = { sessions: new Set(), executions: new Set() };
  #look: () => Holdings = () => ({ sessions: [], executions: [] });
  /** Reports go out one after the other, so that the ledger's last word is the newest. */
  #reports: Promise<unknown> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #isAwake = false;
  /** The ledger may not know what is held. */
  #isUntold = false;

  constructor(options: TenantShareOptions) {
    this.#options = options;
  }

  /** @param look what the client has now. */
  watch(look: () => Holdings): void {
    this.#look = look;
  }

  get #isLimited(): boolean {
    const { MAX_SESSIONS_PER_TENANT, MAX_EXECUTIONS_PER_TENANT } = this.#options.settings;
    return MAX_SESSIONS_PER_TENANT > 0 || MAX_EXECUTIONS_PER_TENANT > 0;
  }

  /** After the object started: what it has counts, and a former report that got lost is corrected. */
  awaken(): void {
    if (!this.#isLimited || this.#isAwake) return;
    this.#isAwake = true;
    const { sessions, executions } = this.#look();
    for (const name of sessions) this.#held.sessions.add(name);
    for (const name of executions) this.#held.executions.add(name);
    this.#options.inBackground(this.#inTurn(() => this.#tell()));
  }

  /**
   * Takes a place for a session.
   *
   * @returns null if it has one already, or if there is no limit.
   * @throws ProblemError (as a rejection) `session_limit`, `rate_limited` if the tenant has no place left.
   */
  admit(resource: TenantResource, name: string): Promise<void> | null {
    if (!this.#isLimited || this.#held[resource].has(name)) return null;
    return this.#inTurn(async () => {
      const held = this.#held[resource];
      if (held.has(name)) return;
      let { refused } = await this.#report(resource);
      for (const pauseMs of ASK_AGAIN_AFTER_MS) {
        if (refused === null) break;
        await sleep(pauseMs);
        ({ refused } = await this.#report(resource));
      }
      if (refused !== null) throw this.#refusal(refused);
      held.add(name);
    });
  }

  /** Something may be over: what nobody uses any more is given back in a moment. */
  settle(): void {
    if (!this.#isLimited || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#options.inBackground(this.settleNow()), KEEP_MS);
  }

  /** Gives back what nobody uses, and repeats a report that failed. */
  async settleNow(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#isLimited) return;
    this.awaken();
    await this.#inTurn(async () => {
      const now = this.#look();
      for (const resource of ["sessions", "executions"] as const) {
        const used = new Set(now[resource]);
        for (const name of this.#held[resource]) {
          if (used.has(name)) continue;
          this.#held[resource].delete(name);
          this.#isUntold = true;
        }
      }
      if (this.#isUntold) await this.#tell();
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#reports.then(work);
    this.#reports = done.catch(() => undefined);
    return done;
  }

  async #tell(): Promise<void> {
    this.#isUntold = true;
    await this.#report(null);
    this.#isUntold = false;
  }

  /** @param asked the limit of which the client wants one more place; null: the ledger only learns the client's numbers. */
  #report(asked: TenantResource | null) {
    const { env, object, tenant } = this.#options;
    const count = (resource: TenantResource) => this.#held[resource].size + (asked === resource ? 1 : 0);
    const totals = { sessions: count("sessions"), executions: count("executions") };
    return reportToTenant(env, tenant(), { object, ...totals, isFact: asked === null });
  }

  #refusal(refused: TenantResource): ProblemError {
    const { MAX_SESSIONS_PER_TENANT, MAX_EXECUTIONS_PER_TENANT } = this.#options.settings;
    if (refused === "sessions") {
      const detail = `The clients of a tenant have at most ${MAX_SESSIONS_PER_TENANT} sessions together; end one first.`;
      return new ProblemError({ code: "session_limit", detail, retryAfter: 60 });
    }
    const detail = `The clients of a tenant run code in at most ${MAX_EXECUTIONS_PER_TENANT} sessions at once.`;
    return new ProblemError({ code: "rate_limited", detail, retryAfter: 1 });
  }
}
