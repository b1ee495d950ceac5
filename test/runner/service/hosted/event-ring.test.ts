import { expect, it } from "vitest";
import type { ExecutionId } from "../../../../src/protocol/identity.ts";
import { EventRing } from "../../../../worker-runner/service/hosted/event-ring.ts";
import { NumberedEvent } from "../../../../worker-runner/session/events/numbered-event.ts";

function event(seq: number, length = 10): NumberedEvent {
  return new NumberedEvent(seq, "output", "e" as ExecutionId, "x".repeat(length));
}

function seqsAfter(ring: EventRing, seq: number): number[] {
  const seqs: number[] = [];
  for (let next = ring.firstAfter(seq); next !== undefined; next = ring.firstAfter(next.seq)) seqs.push(next.seq);
  return seqs;
}

it("gives what came after a seq, whichever was asked for", () => {
  const ring = new EventRing(1000);
  for (const seq of [5, 6, 8, 9, 12]) ring.append(event(seq));
  expect(seqsAfter(ring, 0)).toEqual([5, 6, 8, 9, 12]);
  expect(seqsAfter(ring, 7)).toEqual([8, 9, 12]);
  expect(seqsAfter(ring, 9)).toEqual([12]);
  expect(seqsAfter(ring, 12)).toEqual([]);
  expect(seqsAfter(new EventRing(1), 0)).toEqual([]);
});

it("forgets up to the durable seq and no further", () => {
  const ring = new EventRing(1000);
  for (const seq of [5, 6, 8]) ring.append(event(seq));
  ring.dropThrough(7);
  expect(seqsAfter(ring, 0)).toEqual([8]);
  expect(ring.bytes).toBe(10);
  ring.dropThrough(4);
  expect(ring.size).toBe(1);
  ring.dropThrough(99);
  expect([ring.size, ring.bytes]).toEqual([0, 0]);
});

it("is full at its bound and has room again at half of it", () => {
  const ring = new EventRing(40);
  for (const seq of [1, 2, 3]) ring.append(event(seq));
  expect(ring.isFull).toBe(false);
  ring.append(event(4));
  expect(ring.isFull).toBe(true);
  ring.append(event(5));
  expect(ring.size).toBe(5);
  ring.dropThrough(2);
  expect(ring.hasRoom).toBe(false);
  ring.dropThrough(3);
  expect(ring.hasRoom).toBe(true);
});

it("stays right over a hundred thousand events that come and go", () => {
  const ring = new EventRing(1e9);
  for (let seq = 1; seq <= 100_000; seq += 1) {
    ring.append(event(seq, 1));
    if (seq % 3 === 0) ring.dropThrough(seq - 2500);
    if (seq % 9999 === 0) expect(ring.firstAfter(seq - 1234)?.seq).toBe(seq - 1233);
  }
  ring.dropThrough(99_990);
  expect(seqsAfter(ring, 0)).toEqual([99_991, 99_992, 99_993, 99_994, 99_995, 99_996, 99_997, 99_998, 99_999, 100_000]);
});
