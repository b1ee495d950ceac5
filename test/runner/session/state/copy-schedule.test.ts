import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CopySchedule, QUIET_MS } from "../../../../worker-runner/session/state/copy-schedule.ts";

const COST_MS = 2;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A schedule that has measured copies of `COST_MS` only. */
function scheduleOf(share: number, burst: number): CopySchedule {
  const schedule = new CopySchedule(share, burst);
  for (let count = 0; count < 100; count += 1) schedule.noteCost(COST_MS / 1_000);
  return schedule;
}

/** One execution of `runMs` after a pause of `pauseMs`. @returns whether a copy was due behind it. */
function execute(schedule: CopySchedule, pauseMs: number, runMs: number, isNextWaiting = false): boolean {
  vi.advanceTimersByTime(pauseMs);
  schedule.noteBegin();
  vi.advanceTimersByTime(runMs);
  return schedule.isDueAfterEnd(isNextWaiting);
}

it("gives each spaced execution its copy, however dear copies are", () => {
  const schedule = scheduleOf(0, 0);
  for (let count = 0; count < 50; count += 1) expect(execute(schedule, QUIET_MS, 1)).toBe(true);
  expect(execute(schedule, QUIET_MS - 1, 1)).toBe(false);
});

it("gives a spaced execution none while the next one waits", () => {
  expect(execute(scheduleOf(0, 0), 1_000, 1, true)).toBe(false);
});

it("lets copies take their share of the time in a row of executions without pause", () => {
  const schedule = scheduleOf(0.1, 3);
  let copies = 0;
  for (let count = 0; count < 10_000; count += 1) if (execute(schedule, 0, 1, true)) copies += 1;
  // 10,000 ms of work, a tenth of them for copies of 2 ms, and the burst.
  expect(copies).toBeGreaterThanOrEqual(500);
  expect(copies).toBeLessThanOrEqual(504);
});

it("leaves no more work uncopied than a copy is worth", () => {
  const schedule = scheduleOf(0.1, 1);
  let uncopiedMs = 0;
  for (let count = 0; count < 1_000; count += 1) {
    uncopiedMs = execute(schedule, 0, 1, true) ? 0 : uncopiedMs + 1;
    expect(uncopiedMs).toBeLessThanOrEqual(COST_MS / 0.1);
  }
});

it("copies behind an execution that took longer than a copy is worth", () => {
  const schedule = scheduleOf(0.1, 1);
  while (execute(schedule, 0, 0, true));
  expect(execute(schedule, 0, COST_MS / 0.1 - 1, true)).toBe(false);
  expect(execute(schedule, 0, COST_MS / 0.1, true)).toBe(true);
});

it("allows a burst again after a copy was needed", () => {
  const schedule = scheduleOf(0, 2);
  const due = () => execute(schedule, 0, 0, true);
  expect([due(), due(), due()]).toEqual([true, true, false]);
  schedule.refill();
  expect([due(), due(), due()]).toEqual([true, true, false]);
});

it("follows the measured cost, within bounds", () => {
  const schedule = new CopySchedule(0.1, 1);
  for (let count = 0; count < 100; count += 1) schedule.noteCost(0.02);
  expect(schedule.costMs).toBeCloseTo(20, 3);
  for (let count = 0; count < 100; count += 1) schedule.noteCost(3_600);
  expect(schedule.costMs).toBeLessThanOrEqual(250);
  for (let count = 0; count < 100; count += 1) schedule.noteCost(0);
  expect(schedule.costMs).toBeGreaterThan(0);
});
