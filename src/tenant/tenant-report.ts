/** Owns the call by which a client's object tells its tenant's ledger what it has, and what the ledger answers. */
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

/** The platform may replace an object during a call. A report can be repeated, because it names totals. */
const MAX_ATTEMPTS = 3;

/** Reports to the tenant's ledger. @throws if the ledger cannot be reached. */
export async function reportToTenant(env: Bindings, tenant: string, report: TenantReport): Promise<TenantAnswer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const ledger = env.TENANTS.get(env.TENANTS.idFromName(tenant)) as unknown as {
        report(report: TenantReport): Promise<TenantAnswer>;
      };
      const { refused } = await ledger.report(report);
      return { refused };
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || (error as { retryable?: boolean } | null)?.retryable !== true) throw error;
    }
  }
}
