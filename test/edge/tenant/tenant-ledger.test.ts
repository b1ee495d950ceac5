/** The ledger of a tenant: totals over all clients, limits at and one past them, reports that are lost or repeated. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { TenantLedger } from "../../../src/tenant/tenant-ledger.ts";
import { env } from "../support/edge-client.ts";

/** A ledger that allows three sessions and two busy ones. */
function withLedger(use: (ledger: TenantLedger, again: () => TenantLedger) => void): Promise<void> {
  const stub = env.TENANTS.get(env.TENANTS.idFromName(crypto.randomUUID()));
  return runInDurableObject(stub, (_, state) => {
    const settings = { ...env, MAX_SESSIONS_PER_TENANT: "3", MAX_EXECUTIONS_PER_TENANT: "2" };
    const open = () => new TenantLedger(state, settings as never);
    use(open(), open);
  });
}

const asks = (object: string, sessions: number, executions = 0) => ({ object, sessions, executions, isFact: false });

it("allows as many as the limit over all clients, and not one more", async () => {
  await withLedger((ledger) => {
    expect(ledger.report(asks("a", 1))).toEqual({ refused: null });
    expect(ledger.report(asks("b", 2))).toEqual({ refused: null });
    expect(ledger.report(asks("c", 1))).toEqual({ refused: "sessions" });
    expect(ledger.report(asks("a", 2))).toEqual({ refused: "sessions" });
    expect(ledger.report(asks("a", 1, 1))).toEqual({ refused: null });
    expect(ledger.report(asks("b", 2, 1))).toEqual({ refused: null });
    expect(ledger.report(asks("b", 2, 2))).toEqual({ refused: "executions" });
  });
});

it("counts a repeated report once, and remembers after it was evicted", async () => {
  await withLedger((ledger, again) => {
    for (let times = 0; times < 4; times += 1) expect(ledger.report(asks("a", 2))).toEqual({ refused: null });
    expect(again().report(asks("b", 2))).toEqual({ refused: "sessions" });
    expect(again().report(asks("b", 1))).toEqual({ refused: null });
  });
});

it("takes back what a client gives, also above the limit, and notes facts that it would refuse", async () => {
  await withLedger((ledger) => {
    expect(ledger.report({ ...asks("a", 5), isFact: true })).toEqual({ refused: null });
    expect(ledger.report(asks("a", 4))).toEqual({ refused: null });
    expect(ledger.report(asks("b", 1))).toEqual({ refused: "sessions" });
    expect(ledger.report(asks("a", 0))).toEqual({ refused: null });
    expect(ledger.report(asks("b", 3))).toEqual({ refused: null });
  });
});
