/** The choice among runners and shards: shares, bounds and stability. */
import { describe, expect, it } from "vitest";
import { chooseFullRunner, chooseRunner, orderShards, shardOf } from "../../../src/fleet/placement.ts";

describe("the choice among runners", () => {
  const runner = (id: string, sessions = 0, draining = false) => ({
    id,
    capacity: 10,
    sessions,
    draining,
  });

  it("falls back to a full runner only if it makes room, does not drain and was not asked already", () => {
    const full = (id: string, more = {}) => ({ ...runner(id, 10), gives_way: true, ...more });
    expect(chooseRunner([full("a")], "client", [])).toBeNull();
    expect(chooseFullRunner([full("a")], "client", [])?.id).toBe("a");
    expect(chooseFullRunner([full("a")], "client", ["a"])).toBeNull();
    expect(chooseFullRunner([full("a", { draining: true })], "client", [])).toBeNull();
    expect(chooseFullRunner([full("a", { gives_way: false }), runner("b", 10)], "client", [])).toBeNull();
    expect(chooseFullRunner([full("a")], "client", [], { environment: "other" })).toBeNull();
    const spread = Array.from(
      { length: 200 },
      (_, n) => chooseFullRunner([full("a"), full("b")], `client-${n}`, [])?.id,
    );
    expect(new Set(spread)).toEqual(new Set(["a", "b"]));
  });

  it("keeps one affinity with one runner, also when another runner comes", () => {
    const two = [runner("a"), runner("b")];
    const three = [...two, runner("c")];
    let moved = 0;
    for (let index = 0; index < 300; index += 1) {
      const before = chooseRunner(two, `client-${index}`, [])?.id;
      expect(chooseRunner([...two].reverse(), `client-${index}`, [])?.id).toBe(before);
      const after = chooseRunner(three, `client-${index}`, [])?.id;
      if (after !== before) {
        expect(after).toBe("c");
        moved += 1;
      }
    }
    expect(moved).toBeGreaterThan(60);
    expect(moved).toBeLessThan(140);
  });

  it("gives each its share by free capacity", () => {
    const counts: Record<string, number> = { idle: 0, busy: 0 };
    for (let index = 0; index < 1000; index += 1) {
      const chosen = chooseRunner([runner("idle", 2), runner("busy", 3)], `client-${index}`, []);
      counts[chosen?.id ?? "none"] = (counts[chosen?.id ?? "none"] ?? 0) + 1;
    }
    expect(counts.idle).toBeGreaterThan(480);
    expect(counts.busy).toBeGreaterThan(400);
  });

  it("keeps the fullest runner within 1.15 times the mean at 100 sessions a runner, and moves only what it must", () => {
    const runners = Array.from({ length: 20 }, (_, index) => ({ ...runner(`r${index}`), capacity: 200 }));
    const placed = new Map<string, string>();
    const place = (client: string) => {
      const chosen = chooseRunner(runners, client, []);
      if (chosen === null) throw new Error("full");
      chosen.sessions += 1;
      placed.set(client, chosen.id);
    };
    for (let index = 0; index < 2000; index += 1) place(`client-${index}`);
    expect(Math.max(...runners.map((one) => one.sessions)) / 100).toBeLessThanOrEqual(1.15);
    const gone = runners.shift();
    const moved = [...placed].filter(([, id]) => id === gone?.id).map(([client]) => client);
    for (const client of moved) place(client);
    expect(moved.length).toBeLessThanOrEqual((1.2 / 20) * 2000);
  });

  it("passes a runner by that is much fuller than the mean", () => {
    for (let index = 0; index < 100; index += 1) {
      expect(chooseRunner([runner("idle", 0), runner("busy", 9)], `client-${index}`, [])?.id).toBe("idle");
    }
  });

  it("never chooses a full, draining or excluded one", () => {
    expect(chooseRunner([runner("full", 10), runner("drain", 0, true), runner("out")], "x", ["out"])).toBeNull();
  });
});

describe("the choice among shards", () => {
  it("asks each first in proportion to its free places, and none without room", () => {
    const first = [0, 0, 0];
    for (let index = 0; index < 3000; index += 1) {
      const order = orderShards([10, 0, 20], `client-${index}`);
      expect(order.length).toBe(2);
      first[order[0] ?? 1] = (first[order[0] ?? 1] ?? 0) + 1;
    }
    expect(first[1]).toBe(0);
    expect(first[2]).toBeGreaterThan(1900);
    expect(first[2]).toBeLessThan(2100);
  });

  it("keeps a runner in one shard, and uses every shard", () => {
    const used = new Set<number>();
    for (let index = 0; index < 200; index += 1) {
      const shard = shardOf(`runner-${index}`, 16);
      expect(shardOf(`runner-${index}`, 16)).toBe(shard);
      used.add(shard);
    }
    expect(used.size).toBe(16);
  });
});
