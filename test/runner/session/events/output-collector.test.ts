import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { OutputCollector } from "../../../../worker-runner/session/events/output-collector.ts";

// The clock stands still, as on no real machine that is busy.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function collector() {
  const delivered: string[] = [];
  return { delivered, output: new OutputCollector((text, stream) => delivered.push(`${stream}:${text}`)) };
}

it("delivers the first piece after silence at once, and those that follow together", () => {
  const { delivered, output } = collector();
  output.add("a", "stdout");
  expect(delivered).toEqual(["stdout:a"]);
  for (const text of ["b", "c", "d"]) output.add(text, "stdout");
  expect(delivered).toEqual(["stdout:a"]);
  vi.advanceTimersByTime(4);
  expect(delivered).toEqual(["stdout:a", "stdout:bcd"]);
});

it("keeps the order of both streams", () => {
  const { delivered, output } = collector();
  output.add("a", "stdout");
  output.add("b", "stdout");
  output.add("c", "stderr");
  output.add("d", "stdout");
  output.flush();
  expect(delivered).toEqual(["stdout:a", "stdout:b", "stderr:c", "stdout:d"]);
});

it("delivers long text at once, behind what it has collected", () => {
  const { delivered, output } = collector();
  output.add("a", "stdout");
  output.add("b", "stdout");
  output.add("x".repeat(65_536), "stdout");
  expect(delivered.map((text) => text.length)).toEqual([8, 8, 65_543]);
});

it("collects no more than one frame's length", () => {
  const { delivered, output } = collector();
  for (let n = 0; n < 100_000; n += 1) output.add("abcd", "stdout");
  output.flush();
  expect(delivered.map((text) => text.slice(7)).join("")).toBe("abcd".repeat(100_000));
  expect(Math.max(...delivered.map((text) => text.length))).toBeLessThanOrEqual(65_536 + 7);
  expect(delivered.length).toBeLessThan(100);
});
