/** The time limit of an execution: from when the code began, without the time that it waits for its client. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { TimeLimit } from "../../../../worker-runner/session/executions/time-limit.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A limit of two seconds on code that began `lateMs` after its `execute` message. */
function limitOf(lateMs = 0) {
  const startedAt = performance.now();
  const onReached = vi.fn();
  const runningSeconds = async () => Math.max(0, performance.now() - startedAt - lateMs) / 1000;
  return { limit: new TimeLimit({ runningSeconds }, 2, onReached), onReached };
}

it("is reached once", async () => {
  const { onReached } = limitOf();
  await vi.advanceTimersByTimeAsync(1_990);
  expect(onReached).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(onReached).toHaveBeenCalledOnce();
});

it("counts from when the code began", async () => {
  const { onReached } = limitOf(1_500);
  await vi.advanceTimersByTimeAsync(3_490);
  expect(onReached).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(50);
  expect(onReached).toHaveBeenCalledOnce();
});

it("does not let a forged beginning extend it for ever", async () => {
  const { onReached } = limitOf(60_000);
  await vi.advanceTimersByTimeAsync(12_100);
  expect(onReached).toHaveBeenCalledOnce();
});

it("stands still while the code waits for its client", async () => {
  const { limit, onReached } = limitOf();
  await vi.advanceTimersByTimeAsync(500);
  limit.pause();
  limit.pause();
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(limit.secondsLeft).toBeCloseTo(1.5, 1);
  limit.resume();
  limit.resume();
  await vi.advanceTimersByTimeAsync(1_400);
  expect(onReached).not.toHaveBeenCalled();
  expect(limit.secondsLeft).toBeCloseTo(0.1, 1);
  await vi.advanceTimersByTimeAsync(200);
  expect(onReached).toHaveBeenCalledOnce();
});

it("is never reached after its end", async () => {
  const { limit, onReached } = limitOf();
  limit.pause();
  limit.end();
  limit.resume();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(onReached).not.toHaveBeenCalled();
});
