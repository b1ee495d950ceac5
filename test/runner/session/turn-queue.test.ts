import { expect, it } from "vitest";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import { SessionError } from "../../../worker-runner/session/session-error.ts";
import { type Turn, TurnQueue } from "../../../worker-runner/session/turn-queue.ts";

function recorder(mayBegin: (turn: Turn) => boolean = () => true) {
  const log: string[] = [];
  const queue = new TurnQueue(mayBegin, (isIdle) => log.push(isIdle ? "idle" : "busy"));
  const turn = (name: string): Turn => ({
    executionId: name as ExecutionId,
    begin: () => log.push(`begin ${name}`),
    abandon: () => log.push(`abandon ${name}`),
  });
  return { log, queue, turn };
}

it("begins one turn at a time, in order, urgent ones first", () => {
  const { log, queue, turn } = recorder();
  const [a, b, c] = [turn("a"), turn("b"), turn("c")];
  queue.push(a);
  queue.push(b);
  queue.push(c, true);
  queue.end(a);
  queue.end(c);
  queue.end(b);
  expect(log).toEqual(["busy", "begin a", "begin c", "begin b", "idle"]);
});

it("holds a turn back until it may begin", () => {
  let isOpen = false;
  const { log, queue, turn } = recorder(() => isOpen);
  queue.push(turn("a"));
  expect(log).toEqual(["busy"]);
  isOpen = true;
  queue.pulse();
  expect(log).toEqual(["busy", "begin a"]);
});

it("forgets a waiting turn that is removed, and only a waiting one", () => {
  const { log, queue, turn } = recorder();
  const [a, b] = [turn("a"), turn("b")];
  queue.push(a);
  queue.push(b);
  expect(queue.remove(a)).toBe(false);
  expect(queue.remove(b)).toBe(true);
  queue.end(a);
  expect(log).toEqual(["busy", "begin a", "idle"]);
});

it("abandons everything when it closes, and what comes later at once", async () => {
  const { log, queue, turn } = recorder();
  queue.push(turn("a"));
  queue.push(turn("b"));
  const work = queue.run(async () => expect.unreachable());
  queue.close();
  queue.push(turn("c"));
  expect(log).toEqual(["busy", "begin a", "abandon a", "abandon b", "abandon c"]);
  await expect(work).rejects.toMatchObject({ code: "ended" });
});

it("gives up on work whose turn does not come in time", async () => {
  const { queue, turn } = recorder();
  queue.push(turn("a"));
  await expect(queue.run(async () => 1, { waitMs: 5 })).rejects.toThrow(SessionError);
});

it("does work in its turn and says what became of it", async () => {
  const { queue } = recorder();
  expect(await queue.run(async () => 1)).toBe(1);
  await expect(queue.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(queue.isIdle).toBe(true);
});
