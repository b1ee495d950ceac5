import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { TokenBucket } from "../../../../worker-runner/session/state/token-bucket.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

it("allows so many at once, then so many a second, and never saves up more", () => {
  const bucket = new TokenBucket(3, 10);
  const takeAll = () => {
    let count = 0;
    while (bucket.take()) count += 1;
    return count;
  };
  expect(takeAll()).toBe(3);
  vi.advanceTimersByTime(99);
  expect(takeAll()).toBe(0);
  vi.advanceTimersByTime(1);
  expect(takeAll()).toBe(1);
  vi.advanceTimersByTime(60_000);
  expect(takeAll()).toBe(3);
});
