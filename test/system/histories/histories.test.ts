/** Random faults over a fleet, judged by what clients saw. SEEDS names the seeds: `SEEDS=1-50`, or `SEEDS=7,12` (default 1). */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { randomFrom } from "../../runner/random-numbers.ts";
import { type FleetUnderTest, startFleet } from "./fleet-under-test.ts";
import { judge } from "./history.ts";
import { ModelClient } from "./model-client.ts";
import { startSchedule } from "./schedule.ts";

const RUNNERS = 3;
const CLIENTS = 10;
const FAULTY_MS = 12_000;

function seeds(): number[] {
  return (process.env.SEEDS ?? "1").split(",").flatMap((part) => {
    const [first = 1, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

let fleet: FleetUnderTest | null = null;
afterEach(async () => {
  await fleet?.stop();
  fleet = null;
});

it.each(seeds())(
  "seed %i: one ending each, no event lost or twice, nothing run twice, the state as told",
  async (seed) => {
    fleet = await startFleet(RUNNERS);
    const { product } = fleet;
    const random = randomFrom(seed + 1_000_000);
    const isOver = new AbortController();
    const clients = Array.from({ length: CLIENTS }, (_, n) => new ModelClient(product.url, product.socketUrl, `c${n}`));
    const working = clients.map(async (client) => {
      while (!isOver.signal.aborted) {
        await client.run({ seconds: random(4) === 0 ? random(1500) / 1000 : 0, dies: random(25) === 0 });
        // Some rest long enough to be stored, and some to be put to sleep.
        if (random(3) === 0) await sleep(random(5000), undefined, { signal: isOver.signal }).catch(() => undefined);
      }
    });
    const schedule = startSchedule(seed, fleet, clients);
    const faulty = sleep(FAULTY_MS).then(() => schedule.heal());
    await faulty;
    isOver.abort();
    await Promise.all(working);
    await Promise.all(clients.map((client) => client.finish()));
    const faults = clients.flatMap(({ history }) => judge(history));
    if (faults.length > 0) throw new Error([...schedule.log, ...faults].join("\n"));
    const attempts = clients.flatMap(({ history }) => history.attempts);
    const lost = clients.reduce((sum, { history }) => sum + history.lost.size, 0);
    const refused = attempts.filter((attempt) => attempt.isRefused).length;
    console.log(
      `seed ${seed}: ${schedule.log.length} faults, ${attempts.length} executions, ${lost} lost, ${refused} refused`,
    );
    expect(attempts.length).toBeGreaterThan(CLIENTS);
  },
  600_000,
);
