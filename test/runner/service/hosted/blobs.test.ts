import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import type { CheckpointId } from "../../../../src/protocol/identity.ts";
import { startService } from "../service-under-test.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const blob = new Uint8Array(300_000).map((_, index) => index % 251);

const directories: string[] = [];
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

async function linked(variables: Record<string, string> = {}) {
  const runner = await startService(variables);
  const edge = await runner.link();
  edge.open();
  await edge.reply("opened");
  const put = (id: string, bytes: Uint8Array<ArrayBuffer>, hash = sha256(bytes), key = "k1") =>
    runner.call(`/v1/sessions/${key}/checkpoints/${id}`, {
      method: "PUT",
      body: bytes,
      headers: { "x-content-sha256": hash },
    });
  return { ...runner, edge, put, session: runner.pool.only };
}

async function checkpointFile() {
  const directory = await mkdtemp(join(tmpdir(), "pyrepl3-test-"));
  directories.push(directory);
  const path = join(directory, "blob");
  await writeFile(path, blob);
  return path;
}

it("hands out the blob of a checkpoint until it is forgotten", async () => {
  const { edge, session, call } = await linked();
  const id = "c1" as CheckpointId;
  const blobPath = await checkpointFile();
  session.blobs.set(id, {
    checkpointId: id,
    blobPath,
    size: blob.length,
    sha256: sha256(blob),
    skipped: [{ name: "f", type: "file", reason: "open" }],
    packages: ["six==1.17.0"],
    pieces: [{ sha256: sha256(blob), size: blob.length }],
    pause: 0.001,
  });
  edge.send({ type: "checkpoint", ref: "a", checkpoint_id: id });
  const taken = await edge.reply("checkpoint_taken");
  expect(taken).toMatchObject({ ref: "a", size: blob.length, skipped: [{ name: "f" }], pause: 0.001 });
  const response = await call(`/v1/sessions/k1/checkpoints/${id}`);
  expect(response.headers.get("content-length")).toBe(String(blob.length));
  expect(response.headers.get("x-content-sha256")).toBe(taken.sha256);
  expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(taken.sha256);
  expect((await call(`/v1/sessions/k1/checkpoints/${id}`, { method: "DELETE" })).status).toBe(204);
  expect(session.calls).toContain("drop blob c1");
  expect((await call(`/v1/sessions/k1/checkpoints/${id}`)).status).toBe(404);
});

it("has no blob any more where its file is gone", async () => {
  const { edge, session, call } = await linked();
  const checkpointId = "c1" as CheckpointId;
  const blobPath = "/nowhere/blob";
  session.blobs.set(checkpointId, {
    checkpointId,
    blobPath,
    size: 9,
    sha256: sha256(blob),
    skipped: [],
    packages: [],
    pieces: [],
    pause: 0,
  });
  edge.send({ type: "checkpoint", ref: "a", checkpoint_id: checkpointId });
  await edge.reply("checkpoint_taken");
  expect((await call("/v1/sessions/k1/checkpoints/c1")).status).toBe(404);
  expect((await call("/v1/capabilities")).status).toBe(200);
});

it("restores from a blob that the edge brought, once", async () => {
  const { edge, session, put } = await linked();
  expect((await put("c1", blob)).status).toBe(204);
  const restore = { type: "restore", checkpoint_id: "c1", clear_existing: false, blob: true };
  edge.send({ ...restore, ref: "a" });
  expect(await edge.reply("restored")).toMatchObject({ ref: "a", source: "stored" });
  const [path] = session.restoredFrom;
  expect(path).toBeDefined();
  edge.send({ ...restore, ref: "b" });
  expect(await edge.reply("failed")).toMatchObject({ ref: "b", code: "checkpoint_unavailable" });
});

it("takes a blob at the size limit and none one byte past it", async () => {
  const { put } = await linked({ CHECKPOINT_MAX_BYTES: "1000" });
  expect((await put("c1", new Uint8Array(1000))).status).toBe(204);
  const refused = await put("c2", new Uint8Array(1001));
  expect(refused.status).toBe(413);
  expect(await refused.json()).toMatchObject({ code: "payload_too_large" });
});

it("refuses a blob that is not what its checksum says, and one for a session that is not here", async () => {
  const { put } = await linked();
  expect((await put("c1", blob, sha256(new Uint8Array(1)))).status).toBe(400);
  expect((await put("c1", blob, "no hash")).status).toBe(400);
  expect((await put("c1", blob, sha256(blob), "other")).status).toBe(404);
});

it("leaves no file behind when the session ends", async () => {
  const { edge, session, put, call } = await linked();
  await put("c1", blob);
  session.restore = (_id, options) => {
    session.restoredFrom.push(options?.blobPath);
    return Promise.reject(new Error("fails after it was asked"));
  };
  edge.send({ type: "restore", ref: "a", checkpoint_id: "c1", clear_existing: true, blob: true });
  await edge.reply("failed");
  await put("c2", blob);
  edge.send({ type: "restore", ref: "b", checkpoint_id: "c2", clear_existing: true, blob: true });
  await edge.reply("failed");
  await call("/v1/sessions/k1", { method: "DELETE" });
  await expect.poll(() => session.restoredFrom.some((path) => path !== undefined && existsSync(path))).toBe(false);
});
