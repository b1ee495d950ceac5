/** The floor of free disk: seen per folder, off at 0, and told by the runner. */
import { expect, it } from "vitest";
import { FreeDisk } from "../../../worker-runner/service/free-disk.ts";

const MIB = 1024 * 1024;
const free: Record<string, number> = { "/spool": 300 * MIB, "/state": 200 * MIB };
const freeBytes = (folder: string) => {
  const bytes = free[folder];
  if (bytes === undefined) throw new Error("ENOENT");
  return bytes;
};

it("is low as soon as one folder has less room than it must keep", () => {
  expect(new FreeDisk(["/spool", "/state"], 256, freeBytes).isLow).toBe(true);
  expect(new FreeDisk(["/spool", "/state"], 200, freeBytes).isLow).toBe(false);
});

it("is never low at 0, or for a folder that is not there yet", () => {
  expect(new FreeDisk(["/state"], 0, freeBytes).isLow).toBe(false);
  expect(new FreeDisk(["/nowhere"], 256, freeBytes).isLow).toBe(false);
});

it("reads the file system itself", () => {
  expect(new FreeDisk(["/"], 1).isLow).toBe(false);
  expect(new FreeDisk(["/"], 1e12).isLow).toBe(true);
});
