import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Acknowledger } from "../../src/client/acknowledger.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const WINDOW = 800;
const SHARE = WINDOW / 8;

it("acknowledges at an eighth of the window, and below it after a while", () => {
  const send = vi.fn(() => true);
  const acknowledger = new Acknowledger(WINDOW, send);
  acknowledger.count(SHARE - 1);
  expect(send).toHaveBeenCalledTimes(0);
  acknowledger.count(1);
  expect(send).toHaveBeenCalledTimes(1);
  acknowledger.count(1);
  vi.advanceTimersByTime(200);
  expect(send).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(1000);
  expect(send).toHaveBeenCalledTimes(2);
});

it("acknowledges nothing while it is held, and everything afterwards", () => {
  const send = vi.fn(() => true);
  const acknowledger = new Acknowledger(WINDOW, send);
  acknowledger.count(1);
  acknowledger.hold(true);
  acknowledger.count(SHARE);
  vi.advanceTimersByTime(1000);
  expect(send).toHaveBeenCalledTimes(0);
  acknowledger.hold(false);
  expect(send).toHaveBeenCalledTimes(1);
});

it("owes a new socket nothing", () => {
  const send = vi.fn(() => true);
  const acknowledger = new Acknowledger(WINDOW, send);
  acknowledger.count(1);
  acknowledger.startOver();
  vi.advanceTimersByTime(1000);
  expect(send).toHaveBeenCalledTimes(0);
});
