import { expect, it } from "vitest";
import { DeadlinePassed, withDeadline } from "../../worker-runner/deadline.ts";

const never = new Promise<never>(() => undefined);

it("is what the promise becomes, where that comes first", async () => {
  expect(await withDeadline(Promise.resolve(1), "it", 1_000)).toBe(1);
  await expect(withDeadline(Promise.reject(new Error("no")), "it", 1_000)).rejects.toThrow("no");
});

it("says what took too long", async () => {
  await expect(withDeadline(never, "the wait", 5)).rejects.toThrow(DeadlinePassed);
  await expect(withDeadline(never, "the wait", 5)).rejects.toThrow("the wait took longer than 5 ms");
});

it("ends with the signal's reason, also where it has fired before", async () => {
  const abort = new AbortController();
  const waiting = withDeadline(never, "it", 1_000, abort.signal);
  abort.abort(new Error("given up"));
  await expect(waiting).rejects.toThrow("given up");
  await expect(withDeadline(Promise.reject(new Error("late")), "it", 1_000, abort.signal)).rejects.toThrow("given up");
});
