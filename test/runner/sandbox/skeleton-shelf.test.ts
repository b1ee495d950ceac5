// @module-tag bubblewrap
// Skeletons that are made ahead: sessions work in them as in others, and nothing of them is left behind.
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, it, onTestFinished } from "vitest";
import { testPython } from "../../../scripts/python-tests.ts";
import { childrenOf } from "../../../worker-runner/sandbox/process-tree.ts";
import type { SandboxOptions } from "../../../worker-runner/sandbox/sandbox-contract.ts";
import { SkeletonShelf } from "../../../worker-runner/sandbox/skeleton-shelf.ts";
import { Zygotes } from "../../../worker-runner/sandbox/zygotes.ts";
import { result, startSession } from "../borrowed-session.ts";

const SIZE = 3;
const TIMEOUT_MS = 30_000;

/** Folders of skeletons of this process. */
const folders = () =>
  readdirSync(tmpdir()).filter((name) => name.includes("-skeleton-") && name.includes(`-${process.pid}-`));

it("keeps sandboxes ready, in which sessions work, and leaves nothing behind", { timeout: 60_000 }, async () => {
  const zygotes = new Zygotes(() => undefined, SIZE);
  onTestFinished(() => zygotes.close());
  const options = { startSandbox: zygotes.into("bwrap").startForked, python: testPython() };
  const first = await startSession(options);
  await expect.poll(() => zygotes.skeletons, { timeout: TIMEOUT_MS }).toBe(SIZE);
  const made = folders();
  expect(made.length).toBe(SIZE);
  const sessions = await Promise.all(Array.from({ length: SIZE + 1 }, () => startSession(options)));
  for (const [index, session] of sessions.entries()) {
    const code = `open('f', 'w').write('${index}')\nimport os\n[open('f').read(), os.listdir('/run/pyrepl')]`;
    expect((await result(session, code)).value).toEqual([`${index}`, ["channel.sock"]]);
  }
  // Those that were taken are replaced by others.
  await expect.poll(() => zygotes.skeletons, { timeout: TIMEOUT_MS }).toBe(SIZE);
  expect(folders()).toEqual(expect.arrayContaining(made));
  await Promise.all([first, ...sessions].map((session) => session.shutdown()));
  expect(folders().filter((name) => made.includes(name))).toEqual([]);
  await zygotes.close();
  expect(folders()).toEqual([]);
});

it("makes a skeleton when one that was ready has died, or is of another kind", { timeout: 60_000 }, async () => {
  const zygotes = new Zygotes(() => undefined, 1);
  onTestFinished(() => zygotes.close());
  const options = { startSandbox: zygotes.into("bwrap").startForked, python: testPython() };
  const before = new Set(childrenOf(process.pid));
  const first = await startSession(options);
  await expect.poll(() => zygotes.skeletons, { timeout: TIMEOUT_MS }).toBe(1);
  const other = await startSession({ ...options, limits: { openFiles: 500 } });
  const limit = "import resource; resource.getrlimit(resource.RLIMIT_NOFILE)[0]";
  expect((await result(other, limit)).value).toBe(500);
  await expect.poll(() => zygotes.skeletons, { timeout: TIMEOUT_MS }).toBe(1);
  for (const pid of childrenOf(process.pid).filter((each) => !before.has(each) && isBubblewrap(each))) {
    process.kill(pid, "SIGKILL");
  }
  const last = await startSession({ ...options, limits: { openFiles: 500 } });
  expect((await result(last, limit)).value).toBe(500);
  expect((await result(first, "1")).value).toBe(1);
});

it("keeps none for a sandbox with a workspace of the caller's", async () => {
  const shelf = new SkeletonShelf(1);
  const options = { workspaceDirectory: "/nonexistent", channelDirectory: "/nonexistent" } as SandboxOptions;
  await expect(shelf.take(options)).rejects.toThrow();
  await shelf.close();
  expect(shelf.count).toBe(0);
});

function isBubblewrap(pid: number): boolean {
  return readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "bwrap";
}
