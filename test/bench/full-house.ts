// Measures more clients than places: 130 clients call twice each on 100 places, all at once.
import type { Product } from "../support/product.ts";
import type { Baselines } from "./baselines.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile } from "./measure.ts";
import type { Figure } from "./report.ts";

const CLIENTS = 130;

export async function measureFullHouse(product: Product, _baselines: Baselines): Promise<Figure[]> {
  const waits: number[] = [];
  let refusals = 0;
  const callTwice = async (): Promise<BenchClient> => {
    const client = await BenchClient.open(product.socketUrl);
    for (let call = 0; call < 2; call += 1) {
      const startedAt = performance.now();
      try {
        await client.must("n = globals().get('n', 0) + 1\nn");
        waits.push(performance.now() - startedAt);
      } catch {
        refusals += 1;
      }
    }
    return client;
  };
  const clients = await Promise.all(Array.from({ length: CLIENTS }, callTwice));
  let kept = 0;
  for (const client of clients) {
    kept += (await client.run("n")).last.data.value === 2 ? 1 : 0;
    await client.close();
  }
  const what = `${CLIENTS} clients × 2 calls on 100 places`;
  return [
    { what: `${what}, refused`, value: refusals, unit: "calls", target: { atMost: 0 } },
    {
      what: `${what}, p95`,
      value: percentile(waits, 0.95),
      unit: "ms",
      target: { atMost: 1000 },
      note: `p50 ${percentile(waits, 0.5).toFixed(0)}, max ${Math.max(...waits).toFixed(0)} ms`,
    },
    { what: `${what}, states kept`, value: kept, unit: "sessions", target: { atLeast: CLIENTS } },
  ];
}
