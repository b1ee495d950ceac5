import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { CheckpointId } from "../../../../src/protocol/identity.ts";
import { failure, printed, result, run, startSession, startWatched } from "../../borrowed-session.ts";

const id = (text: string) => text as CheckpointId;

describe("a checkpoint", () => {
  it("lies in a file outside, with its size and checksum, until it is dropped", async () => {
    const session = await startSession();
    await result(session, "x = list(range(1000))");
    const { blobPath, size, sha256, skipped } = await session.checkpoint(id("mine"));
    expect(statSync(blobPath).size).toBe(size);
    expect(createHash("sha256").update(readFileSync(blobPath)).digest("hex")).toBe(sha256);
    expect(statSync(blobPath).mode & 0o077).toBe(0);
    expect(statSync(dirname(blobPath)).mode & 0o077).toBe(0);
    expect(skipped).toEqual([]);
    session.dropCheckpoint(id("mine"));
    await expect.poll(() => existsSync(blobPath)).toBe(false);
    await expect(session.restore(id("mine"))).rejects.toMatchObject({ code: "checkpoint_unavailable" });
  });

  it("waits its turn, and lets the session go on while it is written", async () => {
    const session = await startSession();
    await result(session, "x = 1");
    const running = run(session, "x = 2\nimport time; time.sleep(0.2)");
    const taken = session.checkpoint(id("after"));
    const next = run(session, "x = 3");
    expect((await running).terminal.type).toBe("result");
    await Promise.all([taken, next]);
    await session.restore(id("after"));
    expect((await result(session, "x")).value).toBe(2);
  });

  it("names what it could not save, and saves the rest", async () => {
    const session = await startSession();
    await result(session, "import threading\nlock = threading.Lock()\nx = [1]");
    const { skipped, blobPath } = await session.checkpoint(id("part"));
    expect(skipped).toMatchObject([{ name: "lock" }]);
    await session.reset();
    await session.restore(id("other"), { blobPath });
    expect((await result(session, "[x, 'lock' in globals()]")).value).toEqual([[1], false]);
  });

  it("leaves out, by name, what would make it longer than allowed", async () => {
    const session = await startSession({ checkpointMaxBytes: 200_000 });
    await result(session, "import os\nlong = os.urandom(300_000)\nshort = 1");
    const { size, skipped } = await session.checkpoint();
    expect(size).toBeLessThan(200_000);
    expect(skipped).toMatchObject([{ name: "long", type: "bytes" }]);
    expect((await result(session, "len(long)")).value).toBe(300_000);
  });

  it("may be one of many; the copies that are kept stay bounded, the oldest go first", async () => {
    const session = await startSession({ maxSnapshots: 4 });
    for (let n = 0; n < 8; n += 1) {
      await result(session, `x = ${n}`);
      await session.checkpoint(id(`cp${n}`));
    }
    expect((await session.status()).snapshots).toBeLessThanOrEqual(4);
    expect(await session.restore(id("cp7"))).toMatchObject({ source: "snapshot" });
    expect(await session.restore(id("cp0"))).toMatchObject({ source: "stored" });
    expect((await result(session, "x")).value).toBe(0);
    expect(await session.restore(id("cp6"))).toMatchObject({ source: "snapshot" });
    expect((await result(session, "x")).value).toBe(6);
  });

  it("can be taken at once with others, each of its own moment", async () => {
    const session = await startSession({ maxSnapshots: 3 });
    const taken = Array.from({ length: 6 }, (_, n) => {
      session.submit({ code: `x = ${n}` });
      return session.checkpoint(id(`cp${n}`));
    });
    await Promise.all(taken);
    for (const n of [5, 0, 3]) {
      await session.restore(id(`cp${n}`));
      expect((await result(session, "x")).value).toBe(n);
    }
  });

  it("whose blob is stored elsewhere keeps its copy, and its file while a crash may need it", async () => {
    const session = await startSession();
    await result(session, "x = 1");
    const first = await session.checkpoint(id("first"));
    session.dropBlob(id("first"));
    expect(existsSync(first.blobPath)).toBe(true);
    await session.checkpoint(id("second"));
    await expect.poll(() => existsSync(first.blobPath)).toBe(false);
    expect(await session.restore(id("first"))).toMatchObject({ source: "snapshot" });
  });
});

describe("a restore", () => {
  it("can be repeated, also right behind other code", async () => {
    const session = await startSession();
    await result(session, "x = [0]");
    await session.checkpoint(id("base"));
    for (let round = 0; round < 40; round += 1) {
      session.submit({ code: "x.append(1)" });
      expect(await session.restore(id("base"))).toEqual({ source: "snapshot", missing: [] });
      const { value } = await result(session, "x");
      expect(value).toEqual([0]);
    }
  });

  it("keeps names that the checkpoint lacks where it is told to", async () => {
    const session = await startSession();
    await result(session, "x = 1");
    await session.checkpoint(id("base"));
    await result(session, "x = 2; y = 3");
    await session.restore(id("base"), { clearExisting: false });
    expect((await result(session, "[x, y]")).value).toEqual([1, 3]);
    expect(await failure(session, "import os; os._exit(1)")).toMatchObject({ state: "recovered" });
    expect((await result(session, "[x, y]")).value).toEqual([1, 3]);
  });

  it("of a checkpoint that nobody has is refused, and the state stays", async () => {
    const session = await startSession();
    await result(session, "x = 1");
    await expect(session.restore(id("none"))).rejects.toMatchObject({ code: "checkpoint_unavailable" });
    expect((await result(session, "x")).value).toBe(1);
  });

  it.each([true, false])("of a damaged blob is refused, and the state stays (clearing: %s)", async (clearExisting) => {
    const directory = await mkdtemp(join(tmpdir(), "pyrepl3-blob-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    const session = await startSession();
    await result(session, "x = [1]\ny = x");
    const { blobPath } = await session.checkpoint();
    const blob = readFileSync(blobPath);
    for (const [name, bytes] of Object.entries({
      short: blob.subarray(0, blob.length - 7),
      flipped: Buffer.from(blob).fill(blob.at(-20) === 0 ? 1 : 0, blob.length - 20, blob.length - 19),
      empty: Buffer.alloc(0),
      other: Buffer.from("this is no checkpoint at all".repeat(20)),
    })) {
      const path = join(directory, name);
      writeFileSync(path, bytes);
      await expect(session.restore(id(name), { clearExisting, blobPath: path })).rejects.toMatchObject({
        code: "checkpoint_invalid",
      });
      expect((await result(session, "[x, y is x]")).value).toEqual([[1], true]);
    }
  });

  it("survives the loss of the sandbox: the last checkpoint's blob brings the state back", async () => {
    const { session, sandboxes } = await startWatched();
    await result(session, "x = 1");
    await session.checkpoint(id("base"));
    await result(session, "x = 2", { id: "lost" });
    const running = run(session, "print('on', flush=True)\nimport time; time.sleep(60)");
    await printed(session, "on");
    process.kill(sandboxes[0]?.pid ?? 0, "SIGKILL");
    expect((await running).terminal.data).toMatchObject({
      reason: "process_died",
      state: "restored",
      state_checkpoint_id: "base",
      lost_executions: ["lost"],
    });
    expect((await result(session, "x")).value).toBe(1);
    await result(session, "x = 5");
    expect(await failure(session, "import os; os._exit(1)")).toMatchObject({ state: "recovered" });
    expect(await session.restore(id("base"))).toMatchObject({ source: "stored" });
  });
});
