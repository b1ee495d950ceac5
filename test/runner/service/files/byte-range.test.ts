import { expect, it } from "vitest";
import { readRange } from "../../../../worker-runner/service/files/byte-range.ts";

it.each([
  ["bytes=0-9", { start: 0, end: 10 }],
  ["bytes=0-0", { start: 0, end: 1 }],
  ["bytes=99-99", { start: 99, end: 100 }],
  ["bytes=50-1000", { start: 50, end: 100 }],
  ["bytes=50-", { start: 50, end: 100 }],
  ["bytes=-30", { start: 70, end: 100 }],
  ["bytes=-1000", { start: 0, end: 100 }],
  ["bytes=100-", "unsatisfiable"],
  ["bytes=-0", "unsatisfiable"],
  ["bytes=9-3", "whole"],
  ["bytes=0-1,5-6", "whole"],
  ["lines=0-1", "whole"],
  ["bytes=-", "whole"],
  [undefined, "whole"],
])("reads %s of 100 bytes", (header, expected) => {
  expect(readRange(header, 100)).toEqual(expected);
});

it("finds no range in an empty file", () => {
  expect(readRange("bytes=0-", 0)).toBe("unsatisfiable");
});
