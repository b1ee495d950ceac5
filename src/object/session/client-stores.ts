/** Owns what all sessions of one client's object share: storage, settings, stores and who the client is. */

import type { Bindings, Settings } from "../../env.ts";
import { settingsOf } from "../../env.ts";
import type { ClientId } from "../../protocol/identity.ts";
import { RunnerCalls } from "../runner/runner-calls.ts";
import { CheckpointStore, type Owner } from "../store/checkpoint-store.ts";
import { Executions } from "../store/execution-table.ts";
import { createTables } from "../store/schema.ts";
import { SessionTable } from "../store/session-table.ts";

/** All code that is kept, in journals' sizes. */
const CODE_SHARE = 4;

export class ClientStores {
  readonly ctx: DurableObjectState;
  readonly env: Bindings;
  readonly settings: Settings;
  readonly table: SessionTable;
  readonly executions: Executions;
  readonly checkpoints: CheckpointStore;
  readonly runnerCalls: RunnerCalls;
  #owner: Owner | null;
  /** When the object's alarm rings; undefined: not looked up since it woke. */
  #alarmAtMs: number | null | undefined;

  constructor(ctx: DurableObjectState, env: Bindings) {
    this.ctx = ctx;
    this.env = env;
    this.settings = settingsOf(env);
    const { sql } = ctx.storage;
    createTables(sql);
    this.table = new SessionTable(sql);
    this.executions = new Executions(sql, CODE_SHARE * this.settings.JOURNAL_MAX_BYTES);
    this.checkpoints = new CheckpointStore({
      sql,
      bucket: env.CHECKPOINTS,
      prefix: ctx.id.toString(),
      secret: this.settings.CHECKPOINT_KEY,
    });
    this.runnerCalls = new RunnerCalls(this.settings.RUNNER_TOKEN);
    const row = sql.exec<{ tenant: string; client_id: string }>("SELECT tenant, client_id FROM owner").toArray()[0];
    this.#owner = row === undefined ? null : { tenant: row.tenant, clientId: row.client_id as ClientId };
  }

  /** Who the client is. The object's name is made of it, so that it is the same in every call. */
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
  }

  /** Does work that nobody waits for; a failure is logged. */
  inBackground(work: Promise<unknown>): void {
    this.ctx.waitUntil(work.catch(logFailure));
  }

  /** Sees to it that the alarm rings at `atMs` or before. Later is not worth a write: the alarm looks again when it rings. */
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

/** Notes a failure that no caller hears of. */
export function logFailure(error: unknown): void {
  console.warn("in the background:", error instanceof Error ? error.message : "");
}
