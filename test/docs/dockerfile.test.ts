/** The runner's image, step by step without a container engine: what it copies is all that the runner needs to start and answer. */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { runStep } from "../../scripts/run-step.ts";
import { freePort } from "../support/product.ts";

const folder = mkdtempSync(join(tmpdir(), "pyrepl3-image-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const lines = readFileSync("worker-runner/Dockerfile", "utf8").replaceAll("\\\n", "").split("\n");
const all = (word: string) =>
  lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));

it("copies what the runner needs, and starts it", { tags: "bubblewrap" }, async () => {
  for (const copy of all("COPY")) {
    const paths = copy.split(" ");
    const target = join(folder, paths.pop() ?? "");
    for (const path of paths) {
      const to = paths.length > 1 ? join(target, path) : target;
      mkdirSync(dirname(to), { recursive: true });
      cpSync(path, to, { recursive: true });
    }
  }
  symlinkSync(join(process.cwd(), "node_modules"), join(folder, "node_modules"));
  const compiled = await runStep("bash", ["-c", `cd ${folder} && python3 -m compileall -q worker-runner/python`]);
  expect(compiled.exitCode, compiled.printed).toBe(0);

  const [command = "", ...args] = JSON.parse(all("CMD")[0] ?? "[]") as string[];
  const settings = Object.fromEntries((all("ENV")[0] ?? "").split(" ").map((pair) => pair.split("=")));
  const port = await freePort();
  const runner = spawn(command, args, {
    cwd: folder,
    env: {
      PATH: process.env.PATH,
      ...settings,
      RUNNER_TOKEN: "a secret of some length",
      RUNNER_PORT: String(port),
      HOST: "127.0.0.1",
      POOL_MIN_IDLE: "1",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const ended = new Promise<number | null>((resolve) => runner.once("exit", resolve));
  const listening = new Promise<void>((resolve, reject) => {
    const collect = (piece: Buffer) => {
      log += piece.toString();
      if (log.includes('"listening"')) resolve();
    };
    runner.stdout.on("data", collect);
    runner.stderr.on("data", collect);
    runner.once("exit", () => reject(new Error(`the runner ended:\n${log}`)));
  });
  await listening;
  expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${port}/v1/capabilities`)).status).toBe(401);
  runner.kill(all("STOPSIGNAL")[0] as NodeJS.Signals);
  expect(await ended).toBe(0);
});

it("installs the Debian packages that the project's own check installs", () => {
  const wanted = /packages=\(([^)]*)\)/.exec(readFileSync(".ci/run", "utf8"))?.[1]?.split(" ") ?? [];
  const installed = /--no-install-recommends ([^&]*)/.exec(all("RUN").join("\n"))?.[1]?.trim().split(/\s+/) ?? [];
  expect(installed.toSorted()).toEqual(wanted.toSorted());
});
