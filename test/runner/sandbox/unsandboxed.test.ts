/** Owns the proof that a keeper without a sandbox still has limits, an environment and files of its own, and ends with all it started. */
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, it } from "vitest";
import { childrenOf, isRunning } from "../../../worker-runner/sandbox/process-tree.ts";
import { startUnsandboxed } from "../../../worker-runner/sandbox/unsandboxed.ts";
import { Session } from "../../../worker-runner/session/session.ts";
import { keepKeeper, testLimits, testSandbox } from "./kept-keeper.ts";

async function valueOfCode(session: Session, code: string): Promise<unknown> {
  let value: unknown;
  for await (const event of session.execute({ code })) {
    if (event.type === "error") throw new Error(event.data.traceback);
    if (event.type === "result") value = event.data.value;
  }
  return value;
}

const leftDirectories = () => readdirSync(tmpdir()).filter((name) => name.startsWith("pyrepl3-unsandboxed-")).length;

it("starts a keeper that says what it is, with limits and a clean environment", async () => {
  const { sandbox, hello, end } = await keepKeeper({ env: { GREETING: "hello" } }, startUnsandboxed);
  expect(await hello).toMatchObject({ role: "keeper", token: "token" });
  expect(sandbox.isPidOne).toBe(false);
  expect(readFileSync(`/proc/${sandbox.pid}/limits`, "utf8")).toMatch(
    new RegExp(`Max open files +${testLimits.openFiles} `),
  );
  await end();
  expect(await sandbox.exited).toEqual({ code: null, signal: "SIGKILL" });
});

it("ends a daemon that left its parent and its session, and removes its files", async () => {
  const before = { directories: leftDirectories(), children: childrenOf(process.pid) };
  const session = await Session.start({ startSandbox: startUnsandboxed, python: testSandbox.python });
  const daemon = Number(
    await valueOfCode(
      session,
      `
import os, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(write, str(os.getpid()).encode())
        time.sleep(600)
    os._exit(0)
os.wait()
open("file", "w").close()
os.makedirs("/".join(["deep"] * 200))
int(os.read(read, 20))`,
    ),
  );
  expect(isRunning(daemon)).toBe(true);
  await session.shutdown();
  expect(isRunning(daemon)).toBe(false);
  expect({ directories: leftDirectories(), children: childrenOf(process.pid) }).toEqual(before);
});
