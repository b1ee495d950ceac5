// Measures how long a neighbour in a process of its own waits while one client attacks the edge or moves files, packages, branches and tool calls.
import { setTimeout as sleep } from "node:timers/promises";
import { EdgeArena } from "../attacks/edge/edge-arena.ts";
import { edgeAttacks } from "../attacks/edge/edge-attacks.ts";
import { startPackageIndex } from "../support/package-index.ts";
import { busyWork, PACKAGE } from "./busy-neighbours.ts";
import type { Figure } from "./report.ts";

const SECONDS = 5;
const MIB = 1024 * 1024;

export async function measureNeighbours(): Promise<Figure[]> {
  return [...(await underAttacks()), ...(await besideWork())];
}

/** Default limits and settings, but for an index with one package. */
async function besideWork(): Promise<Figure[]> {
  const index = await startPackageIndex([{ name: PACKAGE, version: "1.0", module: "text = 'hello'" }]);
  const arena = await EdgeArena.open({ PACKAGE_INDEX_URL: index.url });
  const figures: Figure[] = [];
  try {
    for (const [number, { name, run }] of busyWork.entries()) {
      await sleep(2000);
      let done = 0;
      const { p99Ms, medianMs, worstMs, answers } = await arena.during(async () => {
        done = await run(arena.product, `busy-${number}`, SECONDS);
      });
      figures.push({
        what: `a neighbour's \`1 + 1\` beside: ${name}, p99`,
        value: p99Ms,
        unit: "ms",
        target: { atMost: 100 },
        note: `p50 ${medianMs.toFixed(1)}, max ${worstMs.toFixed(0)} ms of ${answers} answers; done ${done} times`,
      });
    }
  } finally {
    await arena.close();
    await index.close();
  }
  return figures;
}

async function underAttacks(): Promise<Figure[]> {
  const arena = await EdgeArena.open();
  const figures: Figure[] = [];
  try {
    const calm = await arena.during(() => sleep(3000));
    figures.push({ what: "a neighbour's `1 + 1`, nobody attacks, p99", value: calm.p99Ms, unit: "ms" });
    for (const [index, attack] of edgeAttacks.entries()) {
      const clientId = `attacker-${index}`;
      await attack.prepare?.(arena.product, clientId);
      await sleep(2000);
      let answers = {};
      const { p99Ms, medianMs, worstMs, grownBytes } = await arena.during(async () => {
        answers = await attack.run(arena.product, clientId, SECONDS);
      });
      figures.push({
        what: `a neighbour's \`1 + 1\` under: ${attack.name}, p99`,
        value: p99Ms,
        unit: "ms",
        target: { atMost: 100 },
        note: `p50 ${medianMs.toFixed(1)}, max ${worstMs.toFixed(0)} ms; the edge grew by ${(grownBytes / MIB).toFixed(0)} MiB; ${JSON.stringify(answers)}`,
      });
    }
  } finally {
    await arena.close();
  }
  return figures;
}
