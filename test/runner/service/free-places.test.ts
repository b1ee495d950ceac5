/** How many more sessions a runner says that it can take. */
import { expect, it } from "vitest";
import { freePlaces } from "../../../worker-runner/service/free-places.ts";

const MIB = 1024 * 1024;

it("says what the settings allow while there is memory for it", () => {
  expect(freePlaces(7, 24 * 1024 * MIB)).toBe(7);
  expect(freePlaces(7)).toBeGreaterThanOrEqual(0);
  expect(freePlaces(-1, 24 * 1024 * MIB)).toBe(0);
});

it("takes no session that there is no memory for", () => {
  expect(freePlaces(100, 256 * MIB + 3 * 32 * MIB)).toBe(3);
  expect(freePlaces(100, 256 * MIB + 3 * 32 * MIB - 1)).toBe(2);
  expect(freePlaces(100, 100 * MIB)).toBe(0);
});
