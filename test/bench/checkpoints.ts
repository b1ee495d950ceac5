// Measures checkpoints: the pause they cause, the time until they are stored, and the way back.
import type { Product } from "../support/product.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile, time } from "./measure.ts";
import type { Figure } from "./report.ts";

interface Taken {
  readonly id: string;
  /** Until the client had its answer. */
  readonly milliseconds: number;
  /** Of an execution sent right behind the checkpoint. */
  readonly behind: number;
}

async function take(client: BenchClient): Promise<Taken> {
  const startedAt = performance.now();
  const created = client.ask({ type: "checkpoint" }, "checkpoint_created");
  const behind = (await client.must("1")).milliseconds;
  const id = (await created).data.checkpoint_id;
  return { id, behind, milliseconds: performance.now() - startedAt };
}

async function measureSize(
  product: Product,
  label: string,
  fill: string,
  count: number,
  pauseMs: number,
): Promise<Figure[]> {
  const client = await BenchClient.open(product.socketUrl);
  await client.must(fill);
  const usual = percentile(await time(50, () => client.must("1")), 0.5);
  const taken: Taken[] = [];
  for (let index = 0; index < count; index += 1) taken.push(await take(client));
  const newest = taken.at(-1)?.id;
  const restored = await time(count, () => client.ask({ type: "restore", checkpoint_id: newest }, "restored"));
  await client.close();
  return [
    {
      what: `checkpoint pause, ${label}, p50`,
      value: Math.max(
        0,
        percentile(
          taken.map((each) => each.behind),
          0.5,
        ) - usual,
      ),
      unit: "ms",
      target: { atMost: pauseMs },
      note: "an execution sent right behind it, less a usual one",
    },
    {
      what: `checkpoint until answered, ${label}, p50`,
      value: percentile(
        taken.map((each) => each.milliseconds),
        0.5,
      ),
      unit: "ms",
    },
    {
      what: `restore from snapshot, ${label}, p50`,
      value: percentile(restored, 0.5),
      unit: "ms",
      target: { atMost: 10 },
    },
  ];
}

/** Milliseconds to bring a checkpoint back once its interpreter is gone. */
async function measureStored(product: Product): Promise<Figure> {
  const client = await BenchClient.open(product.socketUrl);
  await client.must("kept = 41");
  const { id } = await take(client);
  const samples: number[] = [];
  for (let index = 0; index < 5; index += 1) {
    await fetch(`${product.url}/api/v1/session`, { method: "DELETE", headers: { "client-id": client.clientId } });
    const startedAt = performance.now();
    await client.ask({ type: "restore", checkpoint_id: id }, "restored");
    samples.push(performance.now() - startedAt);
    if ((await client.must("kept + 1")).last.data.value !== 42) throw new Error("the stored checkpoint lost its names");
  }
  await client.close();
  return { what: "restore from store, small, p50", value: percentile(samples, 0.5), unit: "ms" };
}

/** Milliseconds until a session with a small state has a second one with the same state, which is then asked for it. */
async function measureBranch(product: Product): Promise<Figure> {
  const client = await BenchClient.open(product.socketUrl);
  const answers: number[] = [];
  const samples = await time(20, async (index) => {
    await client.must(`kept = ${index}`);
    // Dirty again, so that each branch stores the state first.
    const startedAt = performance.now();
    await client.ask({ type: "branch", name: `b-${index}` }, "branched");
    answers.push(performance.now() - startedAt);
    const body = JSON.stringify({ code: "kept", session: `b-${index}` });
    const headers = { "client-id": client.clientId };
    const answer = await fetch(`${product.url}/api/v1/execute?wait=10`, { method: "POST", headers, body });
    const { result } = (await answer.json()) as { result: { value: unknown } };
    if (result.value !== index) throw new Error(`the branch has ${JSON.stringify(result)}`);
    await fetch(`${product.url}/api/v1/sessions/b-${index}?purge=true`, { method: "DELETE", headers });
    // The pool fills again.
    await new Promise((resolve) => setTimeout(resolve, 200));
  });
  await client.close();
  return {
    what: "branch of a small state, p50",
    value: percentile(answers, 0.5),
    unit: "ms",
    target: { atMost: 300 },
    note: `max ${Math.max(...answers).toFixed(0)} ms; with an execution before and one in the new session ${(percentile(samples, 0.5) - 200).toFixed(0)} ms`,
  };
}

export async function measureCheckpoints(product: Product): Promise<Figure[]> {
  return [
    ...(await measureSize(product, "small", "names = {str(i): i for i in range(100)}", 20, 2)),
    ...(await measureSize(product, "100 MB", "import os; kept = bytearray(os.urandom(100_000_000)); None", 5, 5)),
    await measureStored(product),
    await measureBranch(product),
  ];
}
