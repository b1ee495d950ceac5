/** Three runners under load: one drained, one killed, one stopped and continued; then all restarted one after the other. CLIENTS sets how many clients judge. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type FleetUnderTest, startFleet } from "./fleet-under-test.ts";
import { judge } from "./history.ts";
import { ModelClient } from "./model-client.ts";

const CLIENTS = Number(process.env.CLIENTS ?? 24);
/** Longer than an edge tries to reach a runner, so that the stopped one is replaced. */
const STOPPED_MS = 12_000;

let fleet: FleetUnderTest;
beforeAll(async () => {
  // Enough places for every client on two runners, and nobody sleeps by himself.
  fleet = await startFleet(3, { SESSION_IDLE_SECONDS: "600", POOL_MAX_SESSIONS: "100" });
});
afterAll(async () => {
  await fleet?.stop();
});

/** Clients that execute all the time, until told to stop. */
function startLoad(name: string, count: number) {
  const { product } = fleet;
  const clients = Array.from(
    { length: count },
    (_, n) => new ModelClient(product.url, product.socketUrl, `${name}-${n}`),
  );
  const isOver = new AbortController();
  let running = count;
  const first = Promise.withResolvers<void>();
  const working = clients.map(async (client, index) => {
    for (let turn = 0; !isOver.signal.aborted; turn += 1) {
      await client.run({ seconds: (turn + index) % 3 === 0 ? 0.5 : 0, dies: false });
      if (turn === 0) running -= 1;
      if (running === 0) first.resolve();
      await sleep(200 + ((turn * 7 + index * 13) % 10) * 100);
    }
  });
  return {
    clients,
    /** Every client has state. */
    everyoneIsIn: Promise.race([first.promise, Promise.all(working)]),
    lost: () => clients.reduce((sum, { history }) => sum + history.lost.size, 0),
    endings: () => clients.reduce((sum, { history }) => sum + history.attempts.length, 0),
    async end() {
      isOver.abort();
      await Promise.all(working);
      await Promise.all(clients.map((client) => client.finish()));
      const faults = clients.flatMap(({ history }) => judge(history));
      if (faults.length > 0) throw new Error(faults.join("\n"));
    },
  };
}

it("loses nothing to a runner that drains, and exactly what it says to one killed and one stopped", async () => {
  const load = startLoad("faults", CLIENTS);
  await load.everyoneIsIn;
  const [drained, killed, stopped] = fleet.runners;
  if (drained === undefined || killed === undefined || stopped === undefined) throw new Error("no runners");

  expect(await drained.end("SIGTERM")).toBe(0);
  await drained.start();
  expect(load.lost()).toBe(0);

  await killed.end("SIGKILL");
  await killed.start();
  stopped.signal("SIGSTOP");
  await sleep(STOPPED_MS);
  stopped.signal("SIGCONT");
  await load.end();
  console.log(`${CLIENTS} clients, ${load.endings()} executions, ${load.lost()} lost`);
}, 600_000);

it("restarts every runner under load, and no execution fails and no variable is lost", async () => {
  const load = startLoad("rolling", Math.ceil(CLIENTS / 3));
  await load.everyoneIsIn;
  for (const runner of fleet.runners) {
    expect(await runner.end("SIGTERM")).toBe(0);
    await runner.start();
  }
  await load.end();
  expect(load.lost()).toBe(0);
  const isWell = ({ type }: { type: string }) => type !== "error";
  expect(load.clients.flatMap(({ history }) => history.live).filter((frame) => !isWell(frame))).toEqual([]);
}, 600_000);
