import { expect, it } from "vitest";
import { hasVersion, readCondition, readTags } from "../../../../worker-runner/service/files/etags.ts";

it("reads tags, any, and nothing", () => {
  expect(readTags('"a", W/"b" ,"c,d"', true)).toEqual(['"a"', '"b"', '"c,d"']);
  expect(readTags('"a", W/"b"', false)).toEqual(['"a"']);
  expect(readTags(" * ", false)).toBe("*");
  expect(readTags("bare", false)).toEqual(['"bare"']);
  expect(readTags(undefined, false)).toBeUndefined();
});

it("makes a condition of both headers", () => {
  expect(readCondition('W/"a"', "*")).toEqual({ if_match: [], if_none_match: "*" });
  expect(readCondition(undefined, undefined)).toEqual({});
});

it("knows whether a reader has the version", () => {
  expect(hasVersion("*", '"a"')).toBe(true);
  expect(hasVersion(['"b"', '"a"'], '"a"')).toBe(true);
  expect(hasVersion(['"b"'], '"a"')).toBe(false);
  expect(hasVersion(undefined, '"a"')).toBe(false);
});
