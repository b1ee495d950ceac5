/** Owns the call by which a client's object reports its numbers to its tenant's ledger, and the ledger's answer. */
import type { Bindings } from "../env.ts";

export type TenantResource = "sessions" | "executions";

/** What the clients' objects report. */
export interface TenantReport {
  /** The id of the client's object. */
  object: string;
  /** Sessions that it has now. */
  sessions: number;
  /** Sessions that run code now. */
  executions: number;
  /** True: it has them already, so the ledger only notes them. False: it asks whether it may have them. */
  isFact: boolean;
}

export interface TenantAnswer {
  /** The limit that forbids it; null: it is noted. */
  refused: TenantResource | null;
}

/** What a client's object reports about its part of the store. */
export interface StoredReport {
  object: string;
  /** Bytes of all its stored checkpoints. */
  bytes: number;
  /** True: they are stored already. False: it asks whether it may store them. */
  isFact: boolean;
}

/** The platform may replace an object during a call. A report can be repeated, because it names totals. */
const MAX_ATTEMPTS = 3;

interface Ledger {
  report(report: TenantReport): Promise<TenantAnswer>;
  reportStored(report: StoredReport): Promise<boolean>;
}

/** Reports to the tenant's ledger. @throws if the ledger cannot be reached. */
export function reportToTenant(env: Bindings, tenant: string, report: TenantReport): Promise<TenantAnswer> {
  return askLedger(env, tenant, async (ledger) => {
    const { refused } = await ledger.report(report);
    return { refused };
  });
}

/** Reports what is stored. @returns false if the tenant's limit forbids it. @throws if the ledger cannot be reached. */
export function reportStored(env: Bindings, tenant: string, report: StoredReport): Promise<boolean> {
  return askLedger(env, tenant, (ledger) => ledger.reportStored(report));
}

async function askLedger<T>(env: Bindings, tenant: string, ask: (ledger: Ledger) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask(env.TENANTS.get(env.TENANTS.idFromName(tenant)) as unknown as Ledger);
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || (error as { retryable?: boolean } | null)?.retryable !== true) throw error;
    }
  }
}
