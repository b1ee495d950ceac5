/** Delivery by itself: windows, budgets and credit, with a real journal and real sockets. */
import { describe, expect, it } from "vitest";
import { Delivery } from "../../../../src/object/clients/delivery.ts";
import type { ClientStores } from "../../../../src/object/session/client-stores.ts";
import { Journal } from "../../../../src/object/store/journal.ts";
import { bytesOf } from "../../../../src/object/store/journal-row.ts";
import type { ExecutionId } from "../../../../src/protocol/identity.ts";
import { type Ends, eventOf, MIB, openSocket, SESSION, withStores } from "../../support/object-parts.ts";

const SLACK = 256 * 1024;
const X = "x" as ExecutionId;

function setUp(stores: ClientStores, unackedOutputBytes = MIB) {
  const journal = new Journal(stores.ctx.storage.sql, SESSION, 64 * MIB);
  let progress = 0;
  const delivery = new Delivery({
    journal,
    journalMaxBytes: 64 * MIB,
    unackedOutputBytes,
    pace: () => 0,
    attachedFrame: () => '{"type":"attached"}',
    onProgress: () => {
      progress += 1;
    },
  });
  return {
    journal,
    delivery,
    progress: () => progress,
    emit(seq: number, size?: number, executionId?: string, type?: Parameters<typeof eventOf>[3]) {
      const event = eventOf(seq, size, executionId, type);
      journal.append(event);
      delivery.broadcast(event);
      return event;
    },
    attached(window?: number): Ends {
      const ends = openSocket(stores, journal.lastSeq);
      delivery.sockets.add(ends.socket);
      ends.socket.attach(window, undefined, undefined);
      ends.socket.replay();
      delivery.pump(ends.socket);
      return ends;
    },
    plain(): Ends {
      const ends = openSocket(stores, journal.lastSeq);
      delivery.sockets.add(ends.socket);
      return ends;
    },
  };
}

describe("windows", () => {
  it("stop a socket at its window, and let it go on in order as it acknowledges", () =>
    withStores(async (stores) => {
      const { delivery, emit, attached } = setUp(stores);
      const size = bytesOf(eventOf(1));
      const { socket, received } = attached(2 * size + 10);
      for (let seq = 1; seq <= 5; seq += 1) emit(seq);
      expect(await received()).toEqual(["attached", 1, 2]);
      expect([socket.mode, socket.lag]).toEqual(["replaying", 3 * size]);
      delivery.acknowledge(socket, 1);
      expect(await received()).toEqual([3]);
      delivery.acknowledge(socket, 3);
      expect(await received()).toEqual([4, 5]);
      expect([socket.mode, socket.lag]).toEqual(["live", 0]);
    }));

  it("hold back one socket and not the others", () =>
    withStores(async (stores) => {
      const { emit, attached } = setUp(stores);
      const slow = attached(1);
      const fast = attached(MIB);
      for (let seq = 1; seq <= 4; seq += 1) emit(seq);
      expect(await fast.received()).toEqual(["attached", 1, 2, 3, 4]);
      expect(await slow.received()).toEqual(["attached", 1]);
    }));

  it("hold back messages about the session until the events before them are out", () =>
    withStores(async (stores) => {
      const { delivery, emit, attached } = setUp(stores);
      const { socket, received } = attached(1);
      emit(1);
      emit(2);
      delivery.announce('{"type":"session"}');
      expect(await received()).toEqual(["attached", 1]);
      delivery.acknowledge(socket, 1);
      expect(await received()).toEqual([2, "session"]);
    }));
});

describe("budgets", () => {
  it("end the output of an execution for a socket that does not acknowledge, and tell it before the ending", () =>
    withStores(async (stores) => {
      const { emit, attached } = setUp(stores, 250);
      const { socket, received } = attached();
      for (let seq = 1; seq <= 4; seq += 1) emit(seq, 100);
      emit(5, 0, "x", "result");
      expect(await received()).toEqual(["attached", 1, 2, "output_truncated", "result"]);
      expect(socket.state.budgets).toEqual({});
      // The next execution has a budget of its own.
      emit(6, 100, "y");
      expect(await received()).toEqual([6]);
    }));

  it("withhold everything after the first event withheld, however small", () =>
    withStores(async (stores) => {
      const { emit, attached } = setUp(stores, 250);
      const { received } = attached();
      emit(1, 200);
      emit(2, 100);
      emit(3, 1);
      expect(await received()).toEqual(["attached", 1]);
    }));

  it("do not touch a socket with a window", () =>
    withStores(async (stores) => {
      const { emit, attached } = setUp(stores, 1);
      const { received } = attached(MIB);
      emit(1);
      emit(2);
      expect(await received()).toEqual(["attached", 1, 2]);
    }));
});

describe("sockets without attach", () => {
  it("get their own executions only, and move on past the others", () =>
    withStores(async (stores) => {
      const { journal, emit, plain } = setUp(stores);
      const { socket, received } = plain();
      socket.own(X);
      emit(1, 10, "foreign");
      emit(2, 10, "x");
      emit(3, 10, "foreign", "result");
      emit(4, 10, "x", "result");
      emit(5, 10, "x");
      expect(await received()).toEqual([2, "result"]);
      expect([socket.state.cursor, socket.state.own]).toEqual([journal.lastSeq, []]);
    }));

  it("are told of a gap only while one of their executions may be in it", () =>
    withStores(async (stores) => {
      const { journal, delivery, emit, plain } = setUp(stores);
      const idle = plain();
      const waiting = plain();
      waiting.socket.own(X);
      for (const { socket } of [idle, waiting]) socket.hold();
      emit(1);
      journal.purge();
      for (const { socket } of [idle, waiting]) {
        socket.replay();
        delivery.pump(socket);
      }
      expect([await idle.received(), await waiting.received()]).toEqual([[], ["gap"]]);
    }));
});

describe("credit", () => {
  it("follows the fastest acknowledging consumer: window, less what is on the way and what waits", () =>
    withStores((stores) => {
      const { delivery, emit, attached } = setUp(stores);
      const slow = attached(1000);
      const fast = attached(10_000);
      expect(delivery.creditTarget(0)).toBe(10_000 + SLACK);
      const size = bytesOf(emit(1, 500));
      expect(delivery.creditTarget(0)).toBe(10_000 - size + SLACK);
      fast.socket.lag = 20_000;
      expect(delivery.creditTarget(0)).toBe(1000 - size + SLACK);
      expect(slow.socket.inFlightBytes).toBe(size);
    }));

  it("is what the disk takes while nobody acknowledges, and bounded for a large window", () =>
    withStores((stores) => {
      const { delivery, emit, attached } = setUp(stores);
      expect(delivery.creditTarget(0)).toBe(SLACK);
      const size = bytesOf(emit(1, 5000));
      expect(delivery.creditTarget(0)).toBe(SLACK - size);
      attached(1024 * MIB);
      expect(delivery.creditTarget(0)).toBe(4 * MIB);
    }));

  it("stops for a reader that takes nothing, and goes on after 5 s if others only listen", () =>
    withStores((stores) => {
      const { delivery, attached } = setUp(stores);
      const reader = attached(1000);
      reader.socket.lag = MIB;
      expect([delivery.creditTarget(0), delivery.stallEndsAtMs]).toEqual([0, null]);
      attached();
      expect([delivery.creditTarget(1000), delivery.stallEndsAtMs]).toEqual([0, 6000]);
      expect(delivery.creditTarget(5999)).toBe(0);
      expect(delivery.creditTarget(6000)).toBe(SLACK);
      reader.socket.lag = 0;
      expect(delivery.creditTarget(6001)).toBe(1000 + SLACK);
      expect(delivery.stallEndsAtMs).toBeNull();
    }));

  it("does not end a stall for a socket that waits for nothing", () =>
    withStores((stores) => {
      const { delivery, attached, plain } = setUp(stores);
      attached(1000).socket.lag = MIB;
      const { socket } = plain();
      expect([delivery.creditTarget(0), delivery.stallEndsAtMs]).toEqual([0, null]);
      socket.own(X);
      expect([delivery.creditTarget(0), delivery.stallEndsAtMs]).toEqual([0, 5000]);
    }));

  it("asks for frames of which two fit into the smallest window", () =>
    withStores((stores) => {
      const { delivery, attached } = setUp(stores);
      expect(delivery.frameLimit()).toBe(0);
      attached(MIB);
      expect(delivery.frameLimit()).toBe(0);
      attached(9);
      expect(delivery.frameLimit()).toBe(4);
    }));
});
