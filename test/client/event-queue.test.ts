import { expect, it } from "vitest";
import { EventQueue } from "../../src/client/event-queue.ts";
import type { RunEvent } from "../../src/client/wire.ts";

function output(seq: number, chars: number): RunEvent {
  const common = { id: "m", timestamp: 0, execution_id: "run-1" as never };
  return { type: "output", seq, data: { ...common, type: "output", data: "x".repeat(chars), stream: "stdout" } };
}

async function seqsOf(queue: EventQueue): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const event of queue.read()) seen.push(event.type === "gap" ? event.data : event.seq);
  return seen;
}

const KEPT_CHARS = 256 * 1024;

it("gives events that came before the loop and after", async () => {
  const queue = new EventQueue(() => undefined);
  queue.push(output(1, 1));
  const seen = seqsOf(queue);
  queue.push(output(2, 1));
  queue.finish();
  expect(await seen).toEqual([1, 2]);
});

it("keeps 256 Ki characters for a loop that has not begun, and names what it has not kept", async () => {
  const queue = new EventQueue(() => undefined);
  queue.push(output(1, KEPT_CHARS - 1));
  queue.push(output(2, 1));
  queue.push(output(3, 1));
  queue.finish();
  expect(await seqsOf(queue)).toEqual([{ from: 1, to: 1 }, 2, 3]);
  const full = new EventQueue(() => undefined);
  full.push(output(1, KEPT_CHARS));
  full.finish();
  expect(await seqsOf(full)).toEqual([1]);
});

it("counts characters only while a loop reads, and none once it was left", async () => {
  const counts: number[] = [];
  const queue: EventQueue = new EventQueue(() => counts.push(queue.waitingChars));
  queue.push(output(1, 5));
  expect(queue.waitingChars).toBe(0);
  for await (const _ of queue.read()) {
    expect(queue.waitingChars).toBe(5);
    break;
  }
  queue.push(output(2, 7));
  expect(queue.waitingChars).toBe(0);
  expect(counts.at(-1)).toBe(0);
});

it("throws to the loop why the run failed, and refuses a second loop", async () => {
  const queue = new EventQueue(() => undefined);
  queue.finish(new Error("gone"));
  await expect(seqsOf(queue)).rejects.toThrow("gone");
  await expect(seqsOf(queue)).rejects.toThrow("one loop only");
});
