import { expect, it } from "vitest";
import { whatGotWorse } from "./compare.ts";
import { type Figure, judge } from "./report.ts";

const figure = (what: string, value: number, unit: string): Figure => ({ what, value, unit });
const saved = (...figures: Figure[]) => JSON.stringify({ machine: {}, figures: figures.map(judge) });

it("names what got worse by more than a tenth, whichever way is worse", () => {
  const before = saved(
    figure("wait", 10, "ms"),
    figure("speed", 100, "MB/s"),
    figure("faults", 50, "faults"),
    figure("gone", 1, "ms"),
  );
  const now = [figure("wait", 12, "ms"), figure("speed", 80, "MB/s"), figure("faults", 54, "faults")].map(judge);
  expect(whatGotWorse(before, now)).toEqual(["worse: wait: 10.0 → 12.0 ms", "worse: speed: 100 → 80.0 MB/s"]);
});

it("is silent about what got better, and about values that could not be saved", () => {
  const before = saved(figure("wait", 10, "ms"), figure("unknown", Number.NaN, "ms"));
  expect(whatGotWorse(before, [figure("wait", 5, "ms"), figure("unknown", 3, "ms")].map(judge))).toEqual([]);
});
