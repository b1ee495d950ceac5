import { afterEach, expect, it, vi } from "vitest";
import { isSaveDue, noteSaved, noteSaveFailed } from "../../../../src/object/session/save-backoff.ts";
import { newSession } from "../../../../src/object/store/session-table.ts";
import type { SessionName } from "../../../../src/protocol/identity.ts";

afterEach(() => {
  vi.useRealTimers();
});

it("waits twice as long after each failure, up to an hour, and not at all after a success", () => {
  vi.useFakeTimers({ now: 1_000_000_000_000 });
  const record = newSession("s" as SessionName);
  const pauses = Array.from({ length: 9 }, () => {
    noteSaveFailed(record);
    return (record.saveFailure?.nextAttemptAt ?? 0) - Date.now() / 1000;
  });
  expect(pauses).toEqual([60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
  expect(isSaveDue(record)).toBe(false);
  vi.setSystemTime(Date.now() + 3_600_000);
  expect(isSaveDue(record)).toBe(true);
  noteSaved(record);
  expect(isSaveDue(record)).toBe(true);
  noteSaveFailed(record);
  expect(record.saveFailure).toMatchObject({ attempts: 1 });
});
