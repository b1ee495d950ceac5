/** Owns the parts that all sessions of a client's object share: storage, settings, stores and the client's identity. */

import type { Bindings, Settings } from "../../env.ts";
import { settingsOf } from "../../env.ts";
import { logLine } from "../../log.ts";
import { takeTurn } from "../../pace.ts";
import { ProblemError } from "../../problem.ts";
import type { ClientId } from "../../protocol/identity.ts";
import { RateLimit } from "../../rate-limit.ts";
import { ANONYMOUS_TENANT, forgetClient } from "../../tenant/tenant-report.ts";
import { Places } from "../clients/places.ts";
import { RunnerCalls } from "../runner/runner-calls.ts";
import type { Owner } from "../store/checkpoint-signature.ts";
import { CheckpointStore } from "../store/checkpoint-store.ts";
import { ExecutionTable } from "../store/execution-table.ts";
import { createTables } from "../store/schema.ts";
import { SessionTable } from "../store/session-table.ts";
import { ToolStore } from "../store/tool-store.ts";
import { Scrubbing } from "./scrubbing.ts";
import { StorageQuota } from "./storage-quota.ts";
import { TenantShare } from "./tenant-share.ts";

/** The code of all executions may take this many times the size of one journal. */
const CODE_SHARE = 4;

/** After this time an object that was only looked at is deleted. The front remembers an admitted client for less. */
export const UNUSED_MS = 600_000;

/** A request of a client, as logs and traces name it. */
export interface Cause {
  requestId: string;
  traceparent?: string | undefined;
}

export class ClientStores {
  readonly ctx: DurableObjectState;
  readonly env: Bindings;
  readonly settings: Settings;
  readonly table: SessionTable;
  readonly executions: ExecutionTable;
  readonly checkpoints: CheckpointStore;
  readonly tools: ToolStore;
  readonly runnerCalls: RunnerCalls;
  readonly tenant: TenantShare;
  readonly storage: StorageQuota;
  readonly #scrubbing: Scrubbing;
  /** For calls that wait, and streams. */
  readonly waitingCalls: Places;
  readonly #reading: RateLimit;
  /** The call or message that is being answered. What it sets off before it waits for anything belongs to it. */
  cause: Cause | null = null;
  #owner: Owner | null;
  /** When the object's alarm rings; undefined: not looked up since the object started. */
  #alarmAtMs: number | null | undefined;

  constructor(ctx: DurableObjectState, env: Bindings) {
    this.ctx = ctx;
    this.env = env;
    this.settings = settingsOf(env);
    const { sql } = ctx.storage;
    createTables(sql);
    this.table = new SessionTable(sql);
    this.executions = new ExecutionTable(sql, CODE_SHARE * this.settings.JOURNAL_MAX_BYTES);
    this.checkpoints = new CheckpointStore({
      sql,
      bucket: env.CHECKPOINTS,
      prefix: ctx.id.toString(),
      secret: this.settings.CHECKPOINT_KEY,
    });
    this.tools = new ToolStore(sql);
    this.runnerCalls = new RunnerCalls(this.settings.RUNNER_TOKEN, () => this.cause?.requestId);
    this.tenant = new TenantShare({
      env,
      settings: this.settings,
      object: ctx.id.toString(),
      tenant: () => this.owner.tenant,
      inBackground: (work) => this.inBackground(work),
    });
    this.#scrubbing = new Scrubbing(ctx.storage);
    this.storage = new StorageQuota({
      env,
      settings: this.settings,
      object: ctx.id.toString(),
      tenant: () => this.owner.tenant,
      checkpoints: this.checkpoints,
      spareable: () =>
        new Set(
          this.table.load().flatMap(({ phase, recoveryId }) => (phase === "live" && recoveryId ? [recoveryId] : [])),
        ),
    });
    const { READ_BYTES_PER_SECOND, READ_BURST_BYTES, MAX_WAITING_CALLS_PER_CLIENT } = this.settings;
    this.#reading = new RateLimit(READ_BYTES_PER_SECOND, READ_BURST_BYTES, Date.now());
    this.waitingCalls = new Places(MAX_WAITING_CALLS_PER_CLIENT, "calls that wait and streams");
    const row = sql.exec<{ tenant: string; client_id: string }>("SELECT tenant, client_id FROM owner").toArray()[0];
    this.#owner = row === undefined ? null : { tenant: row.tenant, clientId: row.client_id as ClientId };
  }

  /** Who the client is. The object's name is derived from it, so it is the same in every call. */
  get owner(): Owner {
    if (this.#owner === null) throw new Error("nobody has called this object yet");
    return this.#owner;
  }

  /** Notes the client at its first call. */
  noteOwner(owner: Owner): void {
    if (this.#owner !== null) return;
    this.#owner = { tenant: owner.tenant, clientId: owner.clientId };
    this.ctx.storage.sql.exec(
      "INSERT OR IGNORE INTO owner (only_row, tenant, client_id) VALUES (1, ?, ?)",
      owner.tenant,
      owner.clientId,
    );
    this.wantAlarm(Date.now() + UNUSED_MS);
  }

  /** Tells the ledger that nothing is left of the client. */
  async forgetClient(): Promise<void> {
    if (this.#owner?.tenant === ANONYMOUS_TENANT) await forgetClient(this.env, this.ctx.id.toString());
  }

  /** Counts an answer of this size before it is made. @throws ProblemError `rate_limited` if the client has read too much already. */
  chargeRead(bytes: number): void {
    const retryAfter = this.#reading.take(Date.now(), bytes);
    if (retryAfter === 0) return;
    throw new ProblemError({
      code: "rate_limited",
      detail: "The client has requested too much output again.",
      retryAfter,
    });
  }

  /** Counts a piece read from a journal. @param isAgain the client asked for it again. @returns the milliseconds to wait before the next one. */
  pace(bytes: number, isAgain: boolean): number {
    const waitMs = takeTurn(bytes);
    return isAgain ? Math.max(waitMs, this.#reading.owe(Date.now(), bytes) * 1000) : waitMs;
  }

  /** Lets work go on that no caller waits for. A failure is logged. */
  inBackground(work: Promise<unknown>): void {
    const requestId = this.cause?.requestId;
    this.ctx.waitUntil(work.catch((error: unknown) => logFailure(error, requestId)));
  }

  /** Overwrites soon what was deleted for good. */
  scrubSoon(): void {
    this.#scrubbing.want((work) => this.inBackground(work));
  }

  /** Makes sure that the alarm rings at `atMs` or before. A later time is not written, because the alarm checks again when it rings. */
  wantAlarm(atMs: number): void {
    if (this.#alarmAtMs === undefined) {
      this.ctx.waitUntil(
        this.ctx.storage.getAlarm().then((known) => {
          this.#alarmAtMs ??= known;
          this.#setEarlier(atMs);
        }),
      );
    } else {
      this.#setEarlier(atMs);
    }
  }

  /** The alarm has rung. */
  noteAlarm(): void {
    this.#alarmAtMs = null;
  }

  #setEarlier(atMs: number): void {
    const known = this.#alarmAtMs ?? Number.POSITIVE_INFINITY;
    if (known <= atMs) return;
    this.#alarmAtMs = atMs;
    this.ctx.waitUntil(this.ctx.storage.setAlarm(atMs));
  }
}

/** Logs a failure that no caller sees. */
export function logFailure(error: unknown, requestId?: string): void {
  logLine("warn", "work in the background failed", { error, requestId });
}
