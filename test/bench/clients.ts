// Measures what each client costs beside a bare socket: time for one execution, and bulk output.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { testPython } from "../../scripts/python-tests.ts";
import { runStep } from "../../scripts/run-step.ts";
import { connect } from "../../src/client/index.ts";
import type { Product } from "../support/product.ts";
import { BenchClient } from "./bench-client.ts";
import { megabytesPerSecond, percentile, time } from "./measure.ts";
import type { Figure } from "./report.ts";

const windowBytes = 4 << 20;
const rounds = 4;
const perRound = 300;
const commandRuns = 12;
const bulkBytes = 100_000_000;
const bulk = `import sys\nblock = "x" * 1_000_000\nfor _ in range(${bulkBytes / 1e6}): _ = sys.stdout.write(block)`;

/** A client's own figures. */
interface Measured {
  name: string;
  p50Ms: number;
  bulkMs: number;
}

export async function measureClients(product: Product): Promise<Figure[]> {
  const bare = await BenchClient.open(product.socketUrl, { windowBytes });
  await time(100, () => bare.run("1"));
  const client = connect({ url: product.url, windowBytes });
  await time(100, () => client.run("1"));
  const samples = { bare: [] as number[], client: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    samples.bare.push(...(await time(perRound, () => bare.run("1"))));
    samples.client.push(...(await time(perRound, () => client.run("1"))));
  }
  const bareMs = percentile(samples.bare, 0.5);
  const bareBulk = await bare.must(bulk);
  const startedAt = performance.now();
  const { stdout } = await client.run(bulk, { timeout: 120 });
  const typescript = {
    name: "TypeScript client",
    p50Ms: percentile(samples.client, 0.5),
    bulkMs: performance.now() - startedAt,
  };
  expectWhole(stdout.length);
  client.close();
  await bare.close();
  const clients = [typescript, await measurePython(product.url), await measureCommandLine(product.url)];
  const nodeMs = await startTime(["-e", ""]);
  return clients.flatMap(({ name, p50Ms, bulkMs }) => [
    {
      what: `run of the ${name}, p50`,
      value: p50Ms,
      unit: "ms",
      baseline:
        name === "command line" ? { what: "start of Node", value: nodeMs } : { what: "bare socket", value: bareMs },
    },
    {
      what: `100 MB through the ${name}`,
      value: megabytesPerSecond(bulkBytes, bulkMs),
      unit: "MB/s",
      baseline: { what: "bare socket", value: megabytesPerSecond(bulkBytes, bareBulk.milliseconds) },
    },
  ]);
}

async function measurePython(url: string): Promise<Measured> {
  const args = ["test/client-python/bench_client.py", url, String(rounds * perRound), bulk];
  const env = { ...process.env, PYTHONPATH: "src/client-python", PYTHONDONTWRITEBYTECODE: "1" };
  const { exitCode, printed } = await runStep(testPython(), args, { env });
  if (exitCode !== 0) throw new Error(printed);
  const measured = JSON.parse(printed) as { p50_ms: number; bulk_bytes: number; bulk_ms: number };
  expectWhole(measured.bulk_bytes);
  return { name: "Python client", p50Ms: measured.p50_ms, bulkMs: measured.bulk_ms };
}

/** Each run is a process, from its start to its end. */
async function measureCommandLine(url: string): Promise<Measured> {
  const args = ["src/cli/main.ts", "run", "--url", url, "--client-id", "bench-cli", "--timeout", "120", "-c"];
  const p50Ms = await startTime([...args, "1"]);
  const [bulkMs, bytes] = await runNode([...args, bulk]);
  expectWhole(bytes);
  return { name: "command line", p50Ms, bulkMs };
}

async function startTime(args: readonly string[]): Promise<number> {
  return percentile(await time(commandRuns, () => runNode(args)), 0.5);
}

async function runNode(args: readonly string[]): Promise<[milliseconds: number, stdoutBytes: number]> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let bytes = 0;
  child.stdout.on("data", (piece: Buffer) => {
    bytes += piece.length;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`node ${args[0]} ended with ${code}`);
  return [performance.now() - startedAt, bytes];
}

function expectWhole(length: number): void {
  if (length !== bulkBytes) throw new Error(`${length} of ${bulkBytes} characters arrived`);
}
