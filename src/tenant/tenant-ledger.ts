/** Owns the totals of one tenant: its clients, and their sessions, busy sessions and stored bytes. It is a Durable Object per tenant, with a row per client. */
import { DurableObject } from "cloudflare:workers";
import { type Bindings, settingsOf } from "../env.ts";
import type { ClientRefusal, ClientReport, StoredReport, TenantAnswer, TenantReport } from "./tenant-report.ts";

const TABLE = `
CREATE TABLE IF NOT EXISTS holding (
  object TEXT PRIMARY KEY,
  sessions INTEGER NOT NULL,
  executions INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS stored (
  object TEXT PRIMARY KEY,
  bytes INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS client (
  object TEXT PRIMARY KEY,
  address TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS client_by_address ON client (address)`;

interface Counts extends Record<string, SqlStorageValue> {
  sessions: number;
  executions: number;
}

export class TenantLedger extends DurableObject<Bindings> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(TABLE);
  }

  /**
   * Notes what a client's object has. A report names totals, not changes, so a repeated one changes nothing, and a later one
   * corrects a lost one.
   */
  report({ object, sessions, executions, isFact }: TenantReport): TenantAnswer {
    if (!isFact) {
      const { MAX_SESSIONS_PER_TENANT, MAX_EXECUTIONS_PER_TENANT } = settingsOf(this.env);
      const own = this.#count("object = ?", object);
      const others = this.#count("object <> ?", object);
      const isOver = (now: number, before: number, beside: number, max: number) =>
        max > 0 && now > before && beside + now > max;
      if (isOver(sessions, own.sessions, others.sessions, MAX_SESSIONS_PER_TENANT)) return { refused: "sessions" };
      if (isOver(executions, own.executions, others.executions, MAX_EXECUTIONS_PER_TENANT)) {
        return { refused: "executions" };
      }
    }
    if (sessions === 0 && executions === 0) this.#sql.exec("DELETE FROM holding WHERE object = ?", object);
    else this.#sql.exec("INSERT OR REPLACE INTO holding VALUES (?, ?, ?)", object, sessions, executions);
    return { refused: null };
  }

  /** Notes what a client's object stores. @returns false if that is more than before and more than the tenant may have. */
  reportStored({ object, bytes, isFact }: StoredReport): boolean {
    const { MAX_STORED_BYTES_PER_TENANT: max } = settingsOf(this.env);
    if (!isFact && max > 0) {
      const own = this.#storedBytes("object = ?", object);
      if (bytes > own && this.#storedBytes("object <> ?", object) + bytes > max) return false;
    }
    if (bytes === 0) this.#sql.exec("DELETE FROM stored WHERE object = ?", object);
    else this.#sql.exec("INSERT OR REPLACE INTO stored VALUES (?, ?)", object, bytes);
    return true;
  }

  /** Notes a client, unless there are too many others. */
  admitClient({ object, address }: ClientReport): ClientRefusal {
    if (this.#countClients("object = ?", object) > 0) return null;
    const { MAX_ANONYMOUS_CLIENTS: max, MAX_ANONYMOUS_CLIENTS_PER_ADDRESS: maxOfAddress } = settingsOf(this.env);
    if (max > 0 && this.#countClients("TRUE") >= max) return "clients";
    if (maxOfAddress > 0 && address !== "" && this.#countClients("address = ?", address) >= maxOfAddress) {
      return "address";
    }
    this.#sql.exec("INSERT INTO client VALUES (?, ?)", object, address);
    return null;
  }

  /** Nothing is left of the client. */
  forgetClient(object: string): void {
    this.#sql.exec("DELETE FROM client WHERE object = ?", object);
  }

  #countClients(which: string, ...values: string[]): number {
    return this.#sql.exec<{ n: number }>(`SELECT COUNT(*) AS n FROM client WHERE ${which}`, ...values).one().n;
  }

  #storedBytes(which: string, object: string): number {
    return this.#sql.exec<{ n: number }>(`SELECT COALESCE(SUM(bytes), 0) AS n FROM stored WHERE ${which}`, object).one()
      .n;
  }

  #count(which: string, object: string): Counts {
    const sums =
      "SELECT COALESCE(SUM(sessions), 0) AS sessions, COALESCE(SUM(executions), 0) AS executions FROM holding";
    return this.#sql.exec<Counts>(`${sums} WHERE ${which}`, object).one();
  }
}
