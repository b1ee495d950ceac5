// Measures how fast output comes, in bulk, in lines, and the first of it; and that all of it came.
import { createHash } from "node:crypto";
import type { Product } from "../support/product.ts";
import { type Baselines, pipeLines } from "./baselines.ts";
import { BenchClient, type Run } from "./bench-client.ts";
import { megabytesPerSecond, percentile } from "./measure.ts";
import type { Figure } from "./report.ts";

const windowBytes = 4 << 20;
const bulkBytes = 100_000_000;
const lines = 100_000;

function sha256(run: Run): string {
  const hash = createHash("sha256");
  for (const { text } of run.output) hash.update(text);
  return hash.digest("hex");
}

async function measureBulk(client: BenchClient): Promise<number> {
  const prepare = `
import hashlib, sys
block = lambda start: "".join(f"{i:09d}\\n" for i in range(start, start + 10_000))
text = "".join(block(start) for start in range(0, ${bulkBytes / 10}, 10_000))
hashlib.sha256(text.encode()).hexdigest()`;
  const expected = (await client.must(prepare)).last.data.value;
  const run = await client.must("sys.stdout.write(text); None");
  if (sha256(run) !== expected) throw new Error("the bulk output did not arrive as it was written");
  await client.must("del text");
  return run.milliseconds;
}

async function measureLines(client: BenchClient, bytes: number): Promise<number> {
  const run = await client.must(`line = "x" * ${bytes - 1}\nfor _ in range(${lines}): print(line)`);
  const received = run.output.reduce((sum, { text }) => sum + text.length, 0);
  if (received !== lines * bytes) throw new Error(`${received} of ${lines * bytes} bytes of lines arrived`);
  return run.milliseconds;
}

export async function measureOutput(product: Product, baselines: Baselines): Promise<Figure[]> {
  const client = await BenchClient.open(product.socketUrl, { windowBytes });
  const bulk = await measureBulk(client);
  const relayBulk = await baselines.relayBulk(bulkBytes);
  const figures: Figure[] = [
    {
      what: "100 MB written at once, delivered whole",
      value: megabytesPerSecond(bulkBytes, bulk),
      unit: "MB/s",
      baseline: { what: "relay, no flow control", value: megabytesPerSecond(bulkBytes, relayBulk) },
      target: { atLeast: 100 },
    },
  ];
  for (const [bytes, target] of [
    [80, undefined],
    [1024, { atLeast: 60 }],
  ] as const) {
    const elapsed = await measureLines(client, bytes);
    figures.push({
      what: `100,000 printed lines of ${bytes} bytes`,
      value: megabytesPerSecond(lines * bytes, elapsed),
      unit: "MB/s",
      baseline: { what: "bare pipe", value: megabytesPerSecond(lines * bytes, await pipeLines(lines, bytes)) },
      ...(target ? { target } : {}),
    });
  }

  const first: number[] = [];
  for (let index = 0; index < 50; index += 1) {
    const run = await client.must("import time; print(time.time()); time.sleep(0.02)");
    const [piece] = run.output;
    if (piece) first.push((piece.at - Number(piece.text)) * 1000);
  }
  await client.close();
  figures.push({
    what: "first output after print, p50",
    value: percentile(first, 0.5),
    unit: "ms",
    target: { atMost: 5 },
    note: `p99 ${percentile(first, 0.99).toFixed(2)} ms`,
  });
  return figures;
}
