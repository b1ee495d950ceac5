import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { expect, it } from "vitest";
import { makeTempFolder, removeLeftFolders, tempFolderPrefix } from "../../worker-runner/temp-folder.ts";

it("removes the folders of processes that are gone, and no others", async () => {
  const ours = await makeTempFolder("session");
  const { pid } = spawnSync("true");
  const left = await mkdtemp(tempFolderPrefix("session").replace(`-${process.pid}-`, `-${pid}-`));
  const elsewhere = await mkdtemp(tempFolderPrefix("session").replace(/-\d+-\d+-$/, `-1-${pid}-`));
  try {
    expect(await removeLeftFolders()).toBeGreaterThan(0);
    expect([ours, left, elsewhere].map(existsSync)).toEqual([true, false, true]);
  } finally {
    for (const folder of [ours, elsewhere]) await rm(folder, { recursive: true });
  }
});
