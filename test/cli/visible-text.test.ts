/** Names that code chose stand in a terminal as text, and cannot command it. */
import { expect, it } from "vitest";
import { visibleText } from "../../src/cli/visible-text.ts";

it.each([
  ["data/été.csv", "data/été.csv"],
  ["a\u001b]0;title\u0007\nfile  1", "a\\u001b]0;title\\u0007\\u000afile  1"],
  ["\u009b2J\u007f", "\\u009b2J\\u007f"],
  ["gpj.\u202eexe", "gpj.\\u202eexe"],
])("writes %j as %j", (text, shown) => {
  expect(visibleText(text)).toBe(shown);
});
