// Measures how long a neighbour in a process of its own waits while one client attacks the edge within its rate of messages, with default limits.
import { setTimeout as sleep } from "node:timers/promises";
import { EdgeArena } from "../attacks/edge/edge-arena.ts";
import { edgeAttacks } from "../attacks/edge/edge-attacks.ts";
import type { Figure } from "./report.ts";

const SECONDS = 5;
const MIB = 1024 * 1024;

export async function measureNeighbours(): Promise<Figure[]> {
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
