/** Owns a random schedule of faults over a fleet: kills, drains, stops, cut links, split networks and restarts of the edge. A seed repeats it. */
import { setTimeout as sleep } from "node:timers/promises";
import { randomFrom } from "../../runner/random-numbers.ts";
import type { FleetUnderTest, RunnerUnderTest } from "./fleet-under-test.ts";
import type { ModelClient } from "./model-client.ts";

const FAULTS = ["kill", "drain", "stop", "cut", "split", "edge", "client"] as const;
type Fault = (typeof FAULTS)[number];

export interface Schedule {
  /** What was done, for the report of a failed seed. */
  log: string[];
  /** Stops making faults and waits until everything is up again. */
  heal(): Promise<void>;
}

/** Begins to make faults. The pauses between faults are drawn; nothing waits for them. */
export function startSchedule(seed: number, fleet: FleetUnderTest, clients: ModelClient[]): Schedule {
  const random = randomFrom(seed);
  const log: string[] = [];
  const stopping = new AbortController();
  const healing = new Set<Promise<void>>();
  const busy = new Set<RunnerUnderTest>();
  const startedMs = Date.now();
  const rest = (ms: number) => sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined);

  async function hurt(fault: Fault, runner: RunnerUnderTest): Promise<void> {
    switch (fault) {
      case "kill":
        await runner.end("SIGKILL");
        await rest(random(1500));
        return runner.start();
      case "drain": {
        const code = await runner.end("SIGTERM");
        if (code !== 0) throw new Error(`${runner.id} drained and ended with ${code}:\n${runner.log.slice(-2000)}`);
        return runner.start();
      }
      case "stop":
        runner.signal("SIGSTOP");
        await rest(500 + random(14_000));
        runner.signal("SIGCONT");
        return;
      case "cut":
        runner.proxy.cut();
        return;
      case "split":
        runner.proxy.block(true);
        await rest(200 + random(8000));
        runner.proxy.block(false);
        return;
      case "edge":
        fleet.killEdge();
        return;
      case "client":
        clients[random(clients.length)]?.cut();
        return;
      default:
        fault satisfies never;
    }
  }

  async function go(): Promise<void> {
    while (!stopping.signal.aborted) {
      const fault = FAULTS[random(FAULTS.length)] ?? "cut";
      const runner = fleet.runners[random(fleet.runners.length)];
      const pauseMs = 100 + random(1400);
      const isRunners = fault !== "edge" && fault !== "client";
      // One runner stays as it is, so that clients have a place to go.
      const isPossible =
        !isRunners || (runner !== undefined && !busy.has(runner) && busy.size < fleet.runners.length - 1);
      if (runner !== undefined && isPossible) {
        log.push(`${Date.now() - startedMs} ms: ${fault}${isRunners ? ` ${runner.id}` : ""}`);
        if (isRunners) busy.add(runner);
        const healed = hurt(fault, runner).finally(() => {
          if (isRunners) busy.delete(runner);
        });
        healing.add(healed);
      }
      await rest(pauseMs);
    }
  }

  const going = go();
  return {
    log,
    async heal() {
      stopping.abort();
      await going;
      await Promise.all(healing);
    },
  };
}
