// Measures how long a neighbour waits while one session floods: with output, with displays, with tiny pieces.
import { setTimeout as sleep } from "node:timers/promises";
import type { Product } from "../support/product.ts";
import type { Baselines } from "./baselines.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile } from "./measure.ts";
import type { Figure } from "./report.ts";

const windowBytes = 4 << 20;
const stormSeconds = 5;

interface Flood {
  readonly what: string;
  readonly code: string;
  readonly acknowledges: boolean;
}

const block = "import sys\nblock = ('g' * 999 + '\\n') * 1000\nfor _ in range(500): n = sys.stdout.write(block)";
const storm = (statement: string) =>
  `import time\nend = time.monotonic() + ${stormSeconds}\nwhile time.monotonic() < end: ${statement}`;

const floods: readonly Flood[] = [
  { what: "500 MB, not acknowledged", code: block, acknowledges: false },
  { what: "500 MB, acknowledged", code: block, acknowledges: true },
  {
    what: "300,000 × write('.'); flush()",
    code: "import sys\nfor i in range(300000): n = sys.stdout.write('.'); sys.stdout.flush()",
    acknowledges: false,
  },
  { what: `display(1) for ${stormSeconds} s`, code: storm("display(1)"), acknowledges: false },
  { what: `display(1) for ${stormSeconds} s, acknowledged`, code: storm("display(1)"), acknowledges: true },
  { what: `print(1, flush=True) for ${stormSeconds} s`, code: storm("print(1, flush=True)"), acknowledges: false },
];

/** Round trips of `1` in a neighbour's session, one every 20 ms, until `until` resolves. */
async function watchNeighbour(client: BenchClient, until: Promise<unknown>): Promise<number[]> {
  let isOver = false;
  void until.finally(() => {
    isOver = true;
  });
  const waits: number[] = [];
  while (!isOver || waits.length < 20) {
    waits.push((await client.must("1")).milliseconds);
    await sleep(20);
  }
  return waits;
}

export async function measureFloods(product: Product, _baselines: Baselines): Promise<Figure[]> {
  const figures: Figure[] = [];
  const neighbour = await BenchClient.open(product.socketUrl);
  await neighbour.must("1");
  const calm = await watchNeighbour(neighbour, sleep(3000));
  figures.push({ what: "a neighbour's `1`, nobody floods, p99", value: percentile(calm, 0.99), unit: "ms" });
  for (const { what, code, acknowledges } of floods) {
    const flooder = await BenchClient.open(product.socketUrl, acknowledges ? { windowBytes } : {});
    await flooder.must("1");
    const running = flooder.must(code, { timeout: 120 });
    const waits = await watchNeighbour(neighbour, running);
    const run = await running;
    const characters = run.output.reduce((sum, { text }) => sum + text.length, 0);
    figures.push({
      what: `a neighbour's \`1\` under ${what}, p99`,
      value: percentile(waits, 0.99),
      unit: "ms",
      target: { atMost: 100 },
      note:
        `p50 ${percentile(waits, 0.5).toFixed(1)}, max ${Math.max(...waits).toFixed(0)} ms; ` +
        `flood ${(run.milliseconds / 1000).toFixed(1)} s, ${run.output.length} frames, ${characters} characters`,
    });
    await flooder.close();
  }
  await neighbour.close();
  const missed = product.log().match(/does not (take|accept) heartbeats/g)?.length ?? 0;
  figures.push({ what: "heartbeats that the edge missed", value: missed, unit: "", target: { atMost: 0 } });
  return figures;
}
