/** Owns the call by which a client's object reports its numbers to its tenant's ledger, and the ledger's answer. */
import type { Bindings } from "../env.ts";

/** The tenant of every caller if authentication is off. */
export const ANONYMOUS_TENANT = "anonymous";

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

/** A client that is about to be used. */
export interface ClientReport {
  object: string;
  /** Where its caller is; empty: not known. */
  address: string;
}

/** The limit that forbids one more client; null: none. */
export type ClientRefusal = "clients" | "address" | null;

/** The platform may replace an object during a call. A report can be repeated, because it names totals. */
const MAX_ATTEMPTS = 3;

interface Ledger {
  report(report: TenantReport): Promise<TenantAnswer>;
  reportStored(report: StoredReport): Promise<boolean>;
  admitClient(report: ClientReport): Promise<ClientRefusal>;
  forgetClient(object: string): Promise<void>;
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

/** Asks whether an anonymous client may be used. A client that was admitted before always may. @throws if the ledger cannot be reached. */
export function admitClient(env: Bindings, report: ClientReport): Promise<ClientRefusal> {
  return askLedger(env, ANONYMOUS_TENANT, (ledger) => ledger.admitClient(report));
}

/** Tells that nothing is left of an anonymous client. @throws if the ledger cannot be reached. */
export function forgetClient(env: Bindings, object: string): Promise<void> {
  return askLedger(env, ANONYMOUS_TENANT, (ledger) => ledger.forgetClient(object));
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
