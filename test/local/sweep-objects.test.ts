import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { sweepObjects } from "../../src/local/sweep-objects.ts";

const name = (letter: string) => `${letter.repeat(64)}.sqlite`;

it("removes databases without a table, and nothing else", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pyrepl3-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name("a")), Buffer.alloc(4096));
  await writeFile(join(folder, name("b")), Buffer.alloc(0));
  const kept = [name("c"), name("d"), `${name("d")}-wal`, "metadata.sqlite"];
  await writeFile(join(folder, name("c")), Buffer.alloc(8192));
  for (const file of kept.slice(1)) await writeFile(join(folder, file), Buffer.alloc(4096));
  expect(await sweepObjects(folder)).toBe(2);
  expect((await readdir(folder)).sort()).toEqual(kept.sort());
});

it("finds nothing in a folder that is not there, or empty", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pyrepl3-test-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  expect(await sweepObjects(join(folder, "nowhere"))).toBe(0);
  await mkdir(join(folder, "empty"));
  expect(await sweepObjects(join(folder, "empty"))).toBe(0);
});
