/** Making room in a full house: which sessions are asked to leave, when, and how many. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { startService, type UnderTest } from "../service-under-test.ts";

/** A runner with sessions `k0`, `k1` …, each with a link, that all became idle in this order. */
async function fullHouse(count: number, variables: Record<string, string> = {}) {
  const runner = await startService({ GIVE_WAY_SECONDS: "0.05", ...variables });
  const links = [];
  for (let n = 0; n < count; n += 1) {
    const edge = await runner.link(`k${n}`);
    edge.open();
    await edge.reply("opened");
    links.push(edge);
    await sleep(10);
  }
  return { runner, links };
}

/** Another session that waits until `free` is called, as in a pool whose every place is taken. */
async function openOneMore(runner: UnderTest) {
  const { promise, resolve: free } = Promise.withResolvers<void>();
  runner.pool.gate = promise;
  runner.pool.missing = 1;
  const edge = await runner.link("new");
  edge.open();
  return { edge, free };
}

it("asks the session that has been idle longest, and only as many as are needed", async () => {
  const { runner, links } = await fullHouse(3);
  const { edge, free } = await openOneMore(runner);
  await links[0]?.reply("give_way");
  expect(runner.pool.sessions.map((session) => session.calls.includes("shutdown"))).toEqual([false, false, false]);
  // The pool counts the place of a session that leaves as free.
  runner.pool.missing = 0;
  expect((await runner.call("/v1/sessions/k0", { method: "DELETE" })).status).toBe(204);
  free();
  await edge.reply("opened");
  for (const other of links.slice(1)) {
    await other.settle();
    expect(other.received.some((item) => "reply" in item && item.reply.type === "give_way")).toBe(false);
  }
});

it("passes over a session that runs code, and one that was used just now", async () => {
  const { runner, links } = await fullHouse(3, { GIVE_WAY_SECONDS: "2" });
  runner.pool.sessions[0]?.emitBusy(true);
  await sleep(2_000);
  await links[1]?.settle();
  const { free } = await openOneMore(runner);
  await links[2]?.reply("give_way");
  free();
});

it("asks the next one if the edge answers that the first one stays", async () => {
  const { runner, links } = await fullHouse(2);
  const { free } = await openOneMore(runner);
  await links[0]?.reply("give_way");
  links[0]?.send({ type: "stay" });
  await links[1]?.reply("give_way");
  free();
});

it("asks nobody while all are busy, and the first one that becomes idle", async () => {
  const { runner, links } = await fullHouse(2);
  for (const session of runner.pool.sessions) session.emitBusy(true);
  const { free } = await openOneMore(runner);
  await links[0]?.settle();
  expect(links[0]?.received.some((item) => "reply" in item && item.reply.type === "give_way")).toBe(false);
  runner.pool.sessions[0]?.emitBusy(false);
  await links[0]?.reply("give_way");
  free();
});

it("rings for a session without a link, and tells the link that comes", async () => {
  const { runner, links } = await fullHouse(1);
  links[0]?.ws.close();
  await links[0]?.closed;
  const { free } = await openOneMore(runner);
  await sleep(100);
  const again = await runner.link("k0");
  again.open({ create: false });
  await again.reply("give_way");
  free();
});
