/** The scenarios that every client runs, through the command line: each step is a command of its own. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { RunEvent } from "../../src/client/index.ts";
import { type CuttingProxy, startCuttingProxy } from "../support/cutting-proxy.ts";
import { type Product, startProduct } from "../support/product.ts";
import { expectOutcome, type RunStep, type Seen, scenarios } from "./scenario.ts";
import { startCli } from "./start-cli.ts";

let product: Product;
let proxy: CuttingProxy;
beforeAll(async () => {
  product = await startProduct();
  proxy = await startCuttingProxy(product.url);
});
afterAll(async () => {
  await proxy?.close();
  await product?.stop();
});

let users = 0;

/** What the lines of `run --json` add up to. */
function seenIn(lines: readonly string[]): Seen {
  const seen: Seen = { ok: false, value: null, repr: null, stdout: "", stderr: "", error: null };
  const streams = { stdout: [] as string[], stderr: [] as string[] };
  for (const line of lines) {
    const event = JSON.parse(line) as RunEvent;
    if (event.type === "output") streams[event.data.stream].push(event.data.data);
    else if (event.type === "result") {
      Object.assign(seen, { ok: true, value: event.data.value, repr: event.data.repr });
    } else if (event.type === "error") {
      const { exception_type: type, reason, state, traceback } = event.data;
      seen.error = { type, reason, state, traceback };
    }
  }
  return { ...seen, stdout: streams.stdout.join(""), stderr: streams.stderr.join("") };
}

async function takeStep(step: RunStep, env: Record<string, string>): Promise<void> {
  const options = [
    ...(step.timeout === undefined ? [] : ["--timeout", `${step.timeout}`]),
    ...(step.policy === undefined ? [] : ["--policy", step.policy]),
  ];
  const cli = startCli(["run", "--json", ...options, "-c", step.run], { env });
  for (const line of step.inputs ?? []) {
    if (line !== null) cli.write(`${line}\n`);
  }
  cli.end();
  if (step.interruptAfterOutput) {
    await cli.see('"type":"output"');
    cli.interrupt();
  }
  if (step.cutAfterChars !== undefined) {
    await cli.seeChars(step.cutAfterChars);
    proxy.cut();
  }
  const exitCode = await cli.ended;
  expect(cli.stderr).toBe("");
  expectOutcome(seenIn(cli.stdout.trimEnd().split("\n")), step);
  expect(exitCode === 0).toBe(step.expect.ok);
}

async function call(args: string[], env: Record<string, string>): Promise<string> {
  const cli = startCli(args, { env });
  cli.end();
  expect(await cli.ended, cli.stderr).toBe(0);
  return cli.stdout.trim();
}

it.each(scenarios.map(({ name, steps }) => [name, steps] as const))("%s", async (_name, steps) => {
  users += 1;
  const env = { PYREPL3_URL: proxy.url, PYREPL3_CLIENT_ID: `user-${users}` };
  const checkpoints = new Map<string, string>();
  for (const step of steps) {
    if ("run" in step) await takeStep(step, env);
    else if ("checkpoint" in step) {
      checkpoints.set(step.checkpoint, await call(["checkpoints", "create", step.checkpoint], env));
    } else await call(["checkpoints", "restore", checkpoints.get(step.restore) ?? ""], env);
  }
});
