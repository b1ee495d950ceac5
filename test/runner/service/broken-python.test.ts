/** A runner whose Python disappears: it takes no new sessions, says why, keeps those that it has, and comes back by itself. */
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { RunnerProgram } from "../runner-program.ts";
import { NotingEdge } from "./service-under-test.ts";

/** A Python of its own, which a test can take away. */
async function makePython(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pyrepl3-own-python-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  // The user of a sandbox must be able to start it.
  await chmod(folder, 0o755);
  execFileSync(process.env.PYTHON ?? "python3", ["-m", "venv", "--copies", "--without-pip", folder]);
  return join(folder, "bin", "python3");
}

const value = (frame: string) => JSON.parse(frame).data.value as unknown;
const offers = (names: string[]) => (body: Record<string, unknown>) =>
  JSON.stringify(body.environments) === JSON.stringify(names);

it("leaves the Fleet while its Python is gone, says why, and comes back by itself", async () => {
  const python = await makePython();
  const edge = await new NotingEdge().start();
  const runner = await RunnerProgram.start({
    PYTHON: python,
    EDGE_URL: edge.url,
    HEARTBEAT_SECONDS: "3600",
    SANDBOX: process.env.SANDBOX ?? "auto",
  });
  const read = async (path: string) => {
    const answer = await runner.call(path);
    return { status: answer.status, text: await answer.text() };
  };
  await edge.next("/internal/v1/heartbeat", offers(["default"]));

  await rename(python, `${python}.kept`);
  const first = await runner.link("first");
  first.open();
  await first.reply("opened");
  // Each of these takes the interpreter that is ready, so that another one must start. Forks need no file for a moment.
  for (let number = 1; ; number += 1) {
    const key = `other-${number}`;
    const other = await runner.link(key);
    other.open();
    await expect.poll(() => other.received.length, { interval: 5 }).toBeGreaterThan(0);
    if (other.received.some((item) => "reply" in item && item.reply.type === "refused")) break;
    await runner.call(`/v1/sessions/${key}`, { method: "DELETE" });
  }
  await edge.next("/internal/v1/heartbeat", offers([]));
  const ready = await read("/ready");
  expect(ready.status).toBe(503);
  const reason = (JSON.parse(ready.text) as { broken_environments: Record<string, string> }).broken_environments
    .default;
  expect(reason).toMatch(/\w/);
  expect(await read("/health")).toMatchObject({ status: 200, text: expect.stringContaining("broken_environments") });
  expect((await read("/metrics")).text).toMatch(/^pyrepl_broken_environments 1$/m);
  expect(runner.printed).toContain("no interpreter starts: the runner takes no new sessions");
  first.execute("e1", "6 * 7");
  expect(value((await first.event("result")).frame)).toBe(42);

  await rename(`${python}.kept`, python);
  await edge.next("/internal/v1/heartbeat", offers(["default"]));
  expect(await read("/ready")).toMatchObject({ status: 200 });
  expect((await read("/metrics")).text).toMatch(/^pyrepl_broken_environments 0$/m);
  const again = await runner.link("again");
  again.open();
  await again.reply("opened");
  again.execute("e2", "'works'");
  expect(value((await again.event("result")).frame)).toBe("works");
});
