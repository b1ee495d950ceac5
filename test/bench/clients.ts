// Measures what the TypeScript client costs beside a bare socket in the same process: time for one execution, and bulk output.
import { connect } from "../../src/client/index.ts";
import type { Product } from "../support/product.ts";
import { BenchClient } from "./bench-client.ts";
import { megabytesPerSecond, percentile, time } from "./measure.ts";
import type { Figure } from "./report.ts";

const windowBytes = 4 << 20;
const rounds = 4;
const perRound = 300;
const bulkBytes = 100_000_000;
const bulk = `import sys\nblock = "x" * 1_000_000\nfor _ in range(${bulkBytes / 1e6}): _ = sys.stdout.write(block)`;

export async function measureClients(product: Product): Promise<Figure[]> {
  const bare = await BenchClient.open(product.socketUrl, { windowBytes });
  const client = connect({ url: product.url, windowBytes });
  const samples = { bare: [] as number[], client: [] as number[] };
  await time(100, () => bare.run("1"));
  await time(100, () => client.run("1"));
  for (let round = 0; round < rounds; round += 1) {
    samples.bare.push(...(await time(perRound, () => bare.run("1"))));
    samples.client.push(...(await time(perRound, () => client.run("1"))));
  }
  const bareBulk = await bare.must(bulk);
  const startedAt = performance.now();
  const { stdout } = await client.run(bulk, { timeout: 120 });
  const clientBulkMs = performance.now() - startedAt;
  if (stdout.length !== bulkBytes) throw new Error(`${stdout.length} of ${bulkBytes} characters arrived`);
  client.close();
  await bare.close();
  return [
    {
      what: "run of the TypeScript client, p50",
      value: percentile(samples.client, 0.5),
      unit: "ms",
      baseline: { what: "bare socket", value: percentile(samples.bare, 0.5) },
    },
    {
      what: "100 MB through the TypeScript client, kept as one text",
      value: megabytesPerSecond(bulkBytes, clientBulkMs),
      unit: "MB/s",
      baseline: { what: "bare socket", value: megabytesPerSecond(bulkBytes, bareBulk.milliseconds) },
    },
  ];
}
