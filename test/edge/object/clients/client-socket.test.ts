/** One client's socket by itself: its window, its modes, and what its attachment keeps. */
import { describe, expect, it } from "vitest";
import { ClientSocket, newBudget } from "../../../../src/object/clients/client-socket.ts";
import type { ExecutionId } from "../../../../src/protocol/identity.ts";
import { openSocket, withStores } from "../../support/object-parts.ts";

const id = (text: string) => text as ExecutionId;

describe("a client's socket", () => {
  it("has room for any frame while nothing is on the way, then for what fits into its window", () =>
    withStores((stores) => {
      const { socket } = openSocket(stores);
      expect(socket.hasRoomFor(10 ** 9)).toBe(true);
      socket.attach(100, undefined, undefined);
      expect(socket.hasRoomFor(1000)).toBe(true);
      socket.sendEvent(1, "{}", 60);
      socket.state.cursor = 1;
      expect([socket.inFlightBytes, socket.hasRoomFor(40), socket.hasRoomFor(41)]).toEqual([60, true, false]);
      socket.sendEvent(2, "{}", 40);
      socket.state.cursor = 2;
      socket.acknowledge(1);
      expect([socket.inFlightBytes, socket.state.acked]).toEqual([40, 1]);
    }));

  it("takes an acknowledgement of what it was never sent for what it was sent", () =>
    withStores((stores) => {
      const { socket } = openSocket(stores, 5);
      socket.attach(100, undefined, undefined);
      socket.sendEvent(6, "{}", 50);
      socket.state.cursor = 6;
      socket.acknowledge(1000);
      expect([socket.inFlightBytes, socket.state.acked]).toEqual([0, 6]);
      socket.acknowledge(3);
      expect(socket.state.acked).toBe(6);
    }));

  it("counts nothing without a window", () =>
    withStores((stores) => {
      const { socket } = openSocket(stores);
      socket.sendEvent(1, "{}", 1000);
      expect(socket.inFlightBytes).toBe(0);
    }));

  it("wants its own executions without attach, and all of them with it", () =>
    withStores((stores) => {
      const { socket } = openSocket(stores);
      socket.own(id("mine"));
      socket.own(id("mine"));
      expect([socket.wants(id("mine")), socket.wants(id("foreign"))]).toEqual([true, false]);
      socket.disown(id("mine"));
      expect(socket.wants(id("mine"))).toBe(false);
      socket.attach(undefined, undefined, undefined);
      expect(socket.wants(id("foreign"))).toBe(true);
    }));

  it("keeps its state in the attachment, also for as many long ids as may wait", () =>
    withStores((stores) => {
      const { socket } = openSocket(stores, 7);
      const ids = Array.from({ length: 65 }, (_, index) => id(`${index}`.padEnd(128, "漢")));
      for (const one of ids) socket.own(one);
      socket.state.budgets[id("x")] = { ...newBudget(), used: 3 };
      socket.save();
      const woken = ClientSocket.wake(socket.ws);
      expect(woken.state).toEqual(socket.state);
      expect(ids.every((one) => woken.wants(one))).toBe(true);
      expect([woken.mode, woken.state.cursor]).toEqual(["live", 7]);
    }));

  it("replays after hibernation if a replay or an attach was under way", () =>
    withStores((stores) => {
      const { socket } = openSocket(stores);
      socket.attach(undefined, 0, undefined);
      expect(socket.mode).toBe("holding");
      expect(ClientSocket.wake(socket.ws).mode).toBe("replaying");
    }));

  it("keeps the newest messages that have to wait", () =>
    withStores(async (stores) => {
      const { socket, received } = openSocket(stores);
      for (let at = 0; at < 20; at += 1) socket.postpone(JSON.stringify({ type: `m${at}` }));
      socket.sendPostponed();
      socket.sendPostponed();
      expect(await received()).toEqual(Array.from({ length: 16 }, (_, at) => `m${at + 4}`));
    }));

  it("starts over with nothing of the session before, and clamps a cursor that was never reached", () =>
    withStores((stores) => {
      const { socket } = openSocket(stores, 50);
      socket.clampCursor(10);
      expect([socket.state.cursor, socket.state.acked]).toEqual([10, 10]);
      socket.own(id("x"));
      socket.startOver();
      expect(socket.state).toMatchObject({ cursor: 0, acked: 0, own: [], budgets: {}, jobs: [] });
      expect(socket.mode).toBe("live");
    }));
});
