/** The rate limit by itself, with a clock of the test's own. */
import { describe, expect, it } from "vitest";
import { RateLimit } from "../../src/rate-limit.ts";

describe("the rate limit", () => {
  it("lets a burst through, then says how long to wait", () => {
    const limit = new RateLimit(10, 3, 0);
    expect([limit.take(0), limit.take(0), limit.take(0)]).toEqual([0, 0, 0]);
    expect(limit.take(0)).toBeCloseTo(0.1);
  });

  it("refills with time, up to the burst and no further", () => {
    const limit = new RateLimit(10, 3, 0);
    for (let taken = 0; taken < 3; taken += 1) limit.take(0);
    expect(limit.take(50)).toBeCloseTo(0.05);
    expect(limit.take(100)).toBe(0);
    const passed = Array.from({ length: 5 }, () => limit.take(60_000)).filter((seconds) => seconds === 0);
    expect(passed.length).toBe(3);
  });

  it("does not count refused messages", () => {
    const limit = new RateLimit(10, 1, 0);
    limit.take(0);
    for (let refused = 0; refused < 100; refused += 1) expect(limit.take(0)).toBeGreaterThan(0);
    expect(limit.take(100)).toBe(0);
  });

  it("gives nothing for a clock that runs backwards", () => {
    const limit = new RateLimit(10, 1, 1000);
    limit.take(1000);
    expect(limit.take(0)).toBeGreaterThan(0);
    expect(limit.take(50)).toBeGreaterThan(0);
  });

  it("is off at 0 a second, and never stops everything at a burst of 0", () => {
    const off = new RateLimit(0, 1, 0);
    expect(Array.from({ length: 1000 }, () => off.take(0)).every((seconds) => seconds === 0)).toBe(true);
    expect(new RateLimit(1, 0, 0).take(0)).toBe(0);
  });
});
