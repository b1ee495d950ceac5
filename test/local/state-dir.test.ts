import { chmod, chown, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { loadSecrets, takeStateDir } from "../../src/local/state-dir.ts";

const directories: string[] = [];
async function newDirectory() {
  const directory = await mkdtemp(join(tmpdir(), "pyrepl3-test-"));
  directories.push(directory);
  return directory;
}
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

it("makes secrets once and keeps them for this user alone", async () => {
  const directory = await newDirectory();
  const first = await loadSecrets(directory, {});
  expect(await loadSecrets(directory, {})).toEqual(first);
  expect(first.RUNNER_TOKEN).toMatch(/^[0-9a-f]{64}$/);
  expect(first.CHECKPOINT_KEY).not.toBe(first.RUNNER_TOKEN);
  expect((await stat(join(directory, "secrets.json"))).mode & 0o777).toBe(0o600);
});

it("prefers the secrets of the environment", async () => {
  const directory = await newDirectory();
  const kept = await loadSecrets(directory, {});
  const secrets = await loadSecrets(directory, { RUNNER_TOKEN: "given", CHECKPOINT_KEY: "" });
  expect(secrets).toEqual({ RUNNER_TOKEN: "given", CHECKPOINT_KEY: kept.CHECKPOINT_KEY });
});

it("does not replace damaged secrets, which would lose every checkpoint", async () => {
  const directory = await newDirectory();
  await writeFile(join(directory, "secrets.json"), "{");
  await expect(loadSecrets(directory, {})).rejects.toThrow("secrets.json is damaged");
});

it("is taken by one program at a time", async () => {
  const directory = await newDirectory();
  await takeStateDir(join(directory, "new"));
  await expect(takeStateDir(join(directory, "new"))).rejects.toThrow("Another PyREPL3 uses the state");
  await takeStateDir(join(directory, "other"));
});

it("makes a folder that no other user can open", async () => {
  const directory = join(await newDirectory(), "new");
  await takeStateDir(directory);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
});

it("closes a folder of its own that others could open", async () => {
  const directory = join(await newDirectory(), "old");
  await mkdir(join(directory, "v3"), { recursive: true });
  await writeFile(join(directory, "secrets.json"), "{}");
  await chmod(directory, 0o755);
  await takeStateDir(directory);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
});

it("takes no folder that others share, and leaves it as it is", async () => {
  const directory = join(await newDirectory(), "shared");
  await mkdir(join(directory, "photos"), { recursive: true });
  await chmod(directory, 0o755);
  await expect(takeStateDir(directory)).rejects.toThrow(/Other users can open .* photos.*chmod 700/);
  expect((await stat(directory)).mode & 0o777).toBe(0o755);
});

it.runIf(process.getuid?.() === 0)("takes no folder of another user", async () => {
  const directory = join(await newDirectory(), "foreign");
  await mkdir(directory, { mode: 0o700 });
  await chown(directory, 1, 1);
  await expect(takeStateDir(directory)).rejects.toThrow("belongs to another user");
});
