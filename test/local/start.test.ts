import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { isHere } from "../support/needs.ts";
import { commandOf, familyOf, findProcesses, isAlive } from "../support/processes.ts";

const START_DEADLINE_MS = 60_000;
// The whole product starts and stops here, on a machine that may be busy.
vi.setConfig({ testTimeout: 150_000, hookTimeout: 60_000 });

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function newStateDir() {
  const directory = await mkdtemp(join(tmpdir(), "pyrepl3-test-"));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

class Start {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  printed = "";
  #wake: (() => void) | null = null;

  constructor(env: Record<string, string>) {
    const settings = { PORT: "0", RUNNER_PORT: "0", POOL_MIN_IDLE: "1", RATE_LIMIT_PER_SECOND: "0", ...env };
    this.child = spawn(process.execPath, ["src/local/start.ts"], {
      env: { ...process.env, ...settings },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on("data", (piece: Buffer) => {
        this.printed += piece.toString();
        this.#wake?.();
      });
    }
    this.ended = once(this.child, "exit").then(([code]) => code as number | null);
    void this.ended.then(() => this.#wake?.());
    cleanups.push(() => this.stop());
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** Waits for a line, and gives what its group matched. */
  async says(pattern: RegExp): Promise<string> {
    const deadline = AbortSignal.timeout(START_DEADLINE_MS);
    for (;;) {
      const found = pattern.exec(this.printed);
      if (found !== null) return found[1] ?? found[0];
      if (deadline.aborted || this.child.exitCode !== null)
        throw new Error(`it did not say ${pattern}:\n${this.printed}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        deadline.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  /** The edge's URL, once it is ready. */
  ready(): Promise<string> {
    return this.says(/Console +(http:\/\/127\.0\.0\.1:\d+)\/\n/);
  }

  async stop(): Promise<number | null> {
    this.child.kill("SIGINT");
    return this.ended;
  }
}

async function run(url: string, code: string, id: string = crypto.randomUUID()) {
  const response = await fetch(`${url}/api/v1/execute?wait=20`, {
    method: "POST",
    headers: { "client-id": "tester", "content-type": "application/json" },
    body: JSON.stringify({ code, id }),
  });
  return (await response.json()) as { status: string; result: { value: unknown } | null };
}

it("is ready with its URLs, runs code, and leaves no process behind at Ctrl-C", async () => {
  const start = new Start({ STATE_DIR: await newStateDir(), RUNNERS: "2" });
  const url = await start.ready();
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  expect((await run(url, "6 * 7")).result?.value).toBe(42);
  const family = familyOf(start.pid);
  expect(findProcesses(start.pid, "worker-runner/main.ts").length).toBe(2);
  expect(findProcesses(start.pid, "workerd").length).toBeGreaterThan(0);
  expect(await start.stop()).toBe(0);
  await expect.poll(() => family.filter(isAlive).map(commandOf)).toEqual([]);
  const warnings = start.printed.split("\n").filter((line) => /ERROR|WARN|deprecat/i.test(line));
  const word = isHere("bubblewrap") ? "bubblewrap" : "Landlock";
  expect(start.printed).toMatch(new RegExp(`^ {2}Isolation {2}${word}$`, "m"));
  if (isHere("bubblewrap")) expect(warnings).toEqual([]);
  else {
    // One readable line for each of the two runners, and one at the end, which all name the remedy.
    expect(warnings.filter((line) => !/isolated by Landlock, not by bubblewrap: \S/.test(line))).toEqual([]);
    expect(start.printed).toMatch(/^ +for bubblewrap, which isolates better: \S/m);
  }
});

it("runs code under Landlock, or without isolation, if that is asked for, and says so", {
  tags: "landlock",
}, async () => {
  for (const [SANDBOX, word] of [
    ["landlock", "Landlock"],
    ["none", "none"],
  ] as const) {
    const start = new Start({ STATE_DIR: await newStateDir(), SANDBOX });
    const url = await start.ready();
    await start.says(new RegExp(`^ {2}Isolation {2}${word}$`, "m"));
    const capabilities = (await (
      await fetch(`${url}/api/v1/capabilities`, { headers: { "client-id": "tester" } })
    ).json()) as { sandbox: { kind: string } };
    expect(capabilities.sandbox.kind).toBe(SANDBOX);
    expect((await run(url, "6 * 7")).result?.value).toBe(42);
    expect(await start.stop()).toBe(0);
  }
});

it("takes a Ctrl-C that npm passes on a second time for one", async () => {
  const start = new Start({ STATE_DIR: await newStateDir() });
  const url = await start.ready();
  await run(url, "1");
  start.child.kill("SIGINT");
  start.child.kill("SIGINT");
  expect(await start.ended).toBe(0);
});

it("finds its sessions again at the next start", async () => {
  const STATE_DIR = await newStateDir();
  const first = new Start({ STATE_DIR });
  await run(await first.ready(), "values = [1, 2]\nalias = values");
  expect(await first.stop()).toBe(0);
  const second = new Start({ STATE_DIR });
  const found = await run(await second.ready(), "alias.append(3)\nvalues");
  expect(found.result?.value).toEqual([1, 2, 3]);
});

it("starts a runner again that died, and workerd too", async () => {
  const start = new Start({ STATE_DIR: await newStateDir() });
  const url = await start.ready();
  await start.says(/registered with the edge/);
  const [runner] = findProcesses(start.pid, "worker-runner/main.ts");
  process.kill(runner as number, "SIGKILL");
  await start.says(/runner-1 ended \(SIGKILL\); it is started again/);
  await start.says(/registered with the edge(?:.|\n)*registered with the edge/);
  const [workerd] = findProcesses(start.pid, "workerd serve");
  process.kill(workerd as number, "SIGKILL");
  await start.says(/workerd ended \(SIGKILL\); restarting(?:.|\n)*workerd has restarted/);
  expect((await run(url, "1 + 1")).result?.value).toBe(2);
  const [again] = findProcesses(start.pid, "worker-runner/main.ts");
  process.kill(again as number, "SIGTERM");
  await start.says(/INFO.*runner-1 ended \(drained\); it is started again/);
});

it("takes everything with it when it is killed itself", async () => {
  const start = new Start({ STATE_DIR: await newStateDir() });
  await run(await start.ready(), "1");
  const family = familyOf(start.pid);
  expect(family.length).toBeGreaterThan(4);
  start.child.kill("SIGKILL");
  await start.ended;
  await expect.poll(() => family.filter(isAlive).map(commandOf), { timeout: 10_000 }).toEqual([]);
});

it.each([
  [{ PORT: "http" }, /PORT must be a number/],
  [{ RUNNER_TOKEN: "short" }, /RUNNER_TOKEN must have at least 16/],
  [{ RATE_LIMIT_PER_SECOND: "many" }, /RATE_LIMIT_PER_SECOND/],
  [{ PYTHON: "no-such-python" }, /PYTHON=no-such-python does not run/],
])("says what is wrong with %o and ends with 1", async (env, message) => {
  const start = new Start({ STATE_DIR: await newStateDir(), ...(env as Record<string, string>) });
  expect(await start.ended).toBe(1);
  expect(start.printed).toMatch(message);
  expect(start.printed).not.toContain("    at ");
});

it("says that another one uses the state", async () => {
  const STATE_DIR = await newStateDir();
  const first = new Start({ STATE_DIR });
  await first.ready();
  const second = new Start({ STATE_DIR });
  expect(await second.ended).toBe(1);
  expect(second.printed).toContain("Another PyREPL3 uses the state");
});
