/** The ledger of a tenant: totals over all clients, limits at and one past them, reports that are lost or repeated. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { TenantLedger } from "../../../src/tenant/tenant-ledger.ts";
import { env } from "../support/edge-client.ts";

/** A ledger that allows three sessions and two busy ones; four clients, two of them from one address. */
function withLedger(use: (ledger: TenantLedger, again: () => TenantLedger) => void): Promise<void> {
  const stub = env.TENANTS.get(env.TENANTS.idFromName(crypto.randomUUID()));
  return runInDurableObject(stub, (_, state) => {
    const settings = {
      ...env,
      MAX_ANONYMOUS_CLIENTS: "4",
      MAX_ANONYMOUS_CLIENTS_PER_ADDRESS: "2",
      MAX_SESSIONS_PER_TENANT: "3",
      MAX_EXECUTIONS_PER_TENANT: "2",
    };
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

it("admits as many clients as allowed, in all and from one address, and forgets those that are gone", async () => {
  await withLedger((ledger, again) => {
    const admit = (object: string, address: string) => ledger.admitClient({ object, address });
    expect([admit("a", "one"), admit("b", "one"), admit("c", "one")]).toEqual([null, null, "address"]);
    expect([admit("a", "one"), admit("a", "another")]).toEqual([null, null]);
    // Clients of no known address count in all only.
    expect([admit("d", ""), admit("e", ""), admit("f", ""), admit("g", "two")]).toEqual([
      null,
      null,
      "clients",
      "clients",
    ]);
    expect(again().admitClient({ object: "f", address: "" })).toBe("clients");
    ledger.forgetClient("a");
    ledger.forgetClient("nobody");
    expect([admit("c", "one"), admit("a", "one")]).toEqual([null, "clients"]);
  });
});
