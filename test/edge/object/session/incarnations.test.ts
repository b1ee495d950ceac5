/** Incarnations by themselves: one link at a time, with a scripted runner behind it. */
import { beforeEach, describe, expect, it } from "vitest";
import type { ClientStores } from "../../../../src/object/session/client-stores.ts";
import { Incarnations } from "../../../../src/object/session/incarnations.ts";
import { SessionContext } from "../../../../src/object/session/session-context.ts";
import { newSession } from "../../../../src/object/store/session-table.ts";
import { control, registerRunner } from "../../support/edge-client.ts";
import { SESSION, withStores } from "../../support/object-parts.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `i-${crypto.randomUUID()}`;
  await registerRunner();
});

function setUp(stores: ClientStores, onPrepare: () => Promise<void> = async () => undefined) {
  const context = new SessionContext(stores, newSession(SESSION), () => undefined);
  const calls: string[] = [];
  const incarnations = new Incarnations(context, {
    listener: () => ({
      openingCredit: () => 1000,
      onReady: (_link, isNew) => calls.push(isNew ? "new" : "again"),
      onOpened: () => undefined,
      onEvent: () => undefined,
      onReply: () => undefined,
      onIdle: () => undefined,
      onClosed: (link) => incarnations.drop(link),
    }),
    beforeOpen: async () => undefined,
    prepare: async () => {
      calls.push("prepare");
      await onPrepare();
    },
    onLoss: (reason) => calls.push(reason),
  });
  return { context, incarnations, calls };
}

const run = (use: (stores: ClientStores) => Promise<void>) => withStores(use, {}, clientId);
const sessions = () => control("sessions", clientId);

describe("incarnations", () => {
  it("start one interpreter for all who ask, and give them one link", () =>
    run(async (stores) => {
      const { context, incarnations, calls } = setUp(stores);
      expect([incarnations.ready, await incarnations.resume()]).toEqual([null, null]);
      const links = await Promise.all([incarnations.ensure(), incarnations.ensure(), incarnations.resume()]);
      expect(new Set(links).size).toBe(1);
      expect(links[0]).toBe(incarnations.ready);
      expect(calls).toEqual(["prepare", "new"]);
      expect([context.record.phase, context.record.isLinked]).toEqual(["live", true]);
      expect((await sessions()).length).toBe(1);
    }));

  it("link up again to the same interpreter after the link closed", () =>
    run(async (stores) => {
      const { context, incarnations, calls } = setUp(stores);
      const first = await incarnations.ensure();
      incarnations.closeLink(first);
      expect([incarnations.ready, context.record.isLinked, context.record.phase]).toEqual([null, false, "live"]);
      const [one, two] = await Promise.all([incarnations.resume(), incarnations.ensure()]);
      expect(one).toBe(two);
      expect(one).not.toBe(first);
      expect(calls).toEqual(["prepare", "new", "again"]);
      expect((await sessions())[0].links).toBe(2);
    }));

  it("tell the loss of an interpreter once, and start the next one with greater numbers", () =>
    run(async (stores) => {
      const { context, incarnations, calls } = setUp(stores);
      const link = await incarnations.ensure();
      const { key } = context.record.incarnation ?? { key: "" };
      const reserved = context.record.reservedSeq;
      incarnations.closeLink(link);
      await control("kill", key);
      expect(await Promise.all([incarnations.resume(), incarnations.resume()])).toEqual([null, null]);
      expect([calls.at(-1), context.record.phase, context.record.incarnation]).toEqual([
        "runner_lost",
        "suspended",
        null,
      ]);
      await incarnations.ensure();
      expect(calls.filter((call) => call === "runner_lost").length).toBe(1);
      expect(context.record.incarnation?.key).not.toBe(key);
      expect(context.record.reservedSeq).toBeGreaterThan(reserved);
    }));

  it("let nobody use the link while the session leaves, and give it back if it stays", () =>
    run(async (stores) => {
      const { context, incarnations } = setUp(stores);
      const link = await incarnations.ensure();
      const seen: unknown[] = [];
      let resumed: Promise<unknown> = Promise.resolve();
      const hasLeft = await incarnations.leave("suspended", async (own) => {
        seen.push(own, incarnations.ready);
        resumed = incarnations.resume();
        return false;
      });
      expect([hasLeft, seen, await resumed, incarnations.ready]).toEqual([false, [link, null], link, link]);
      expect(context.record.phase).toBe("live");
    }));

  it("give the link back if leaving fails", () =>
    run(async (stores) => {
      const { incarnations } = setUp(stores);
      const link = await incarnations.ensure();
      const leaving = incarnations.leave("suspended", () => Promise.reject(new Error("no store")));
      await expect(leaving).rejects.toThrow("no store");
      expect(incarnations.ready).toBe(link);
    }));

  it("make a call that comes while the session leaves wait, and start it again", () =>
    run(async (stores) => {
      const { context, incarnations, calls } = setUp(stores);
      const link = await incarnations.ensure();
      let ensured: Promise<unknown> = Promise.resolve();
      const leaving = incarnations.leave("suspended", async () => {
        ensured = incarnations.ensure();
        return true;
      });
      const other = incarnations.leave("ended", async (own) => own === null);
      expect(await leaving).toBe(true);
      expect(link.isOpen).toBe(false);
      expect(await ensured).not.toBe(link);
      expect(calls).toEqual(["prepare", "new", "prepare", "new"]);
      expect(await other).toBe(false);
      expect(context.record.phase).toBe("live");
    }));

  it("stay as they were if the new interpreter cannot be prepared", () =>
    run(async (stores) => {
      const { context, incarnations } = setUp(stores, () => Promise.reject(new Error("no state")));
      context.claim();
      await expect(incarnations.ensure()).rejects.toThrow("no state");
      expect([incarnations.ready, context.record.incarnation, context.record.phase]).toEqual([null, null, "new"]);
      expect(context.isInUse).toBe(false);
    }));

  it("try another interpreter if the first one ends before it has the session's state", () =>
    run(async (stores) => {
      let left = 2;
      const { context, incarnations, calls } = setUp(stores, async () => {
        left -= 1;
        if (left > 0) throw new Error("the interpreter is gone");
      });
      expect((await incarnations.ensure()).isOpen).toBe(true);
      expect([calls, context.record.phase]).toEqual([["prepare", "prepare", "new"], "live"]);
    }));

  it("do not trust an interpreter that was being prepared when the object was evicted", () =>
    run(async (stores) => {
      const { context, incarnations, calls } = setUp(stores);
      await incarnations.ensure();
      const later = setUp(stores);
      Object.assign(later.context.record, context.record, { phase: "starting" });
      expect(await later.incarnations.resume()).toBeNull();
      expect([later.context.record.phase, later.context.record.incarnation]).toEqual(["suspended", null]);
      expect(calls).toEqual(["prepare", "new"]);
    }));

  it("ask a runner that has room a second time after it refused", () =>
    run(async (stores) => {
      await control("refuse-once", clientId);
      const { incarnations, calls } = setUp(stores);
      expect((await incarnations.ensure()).isOpen).toBe(true);
      expect(calls).toEqual(["prepare", "new"]);
    }));

  it("say that every interpreter is in use if the only runner refuses", () =>
    run(async (stores) => {
      await control("refuse", clientId);
      const { context, incarnations } = setUp(stores);
      await expect(incarnations.ensure()).rejects.toMatchObject({ fault: "pool_exhausted" });
      expect([context.record.phase, context.record.incarnation]).toEqual(["new", null]);
      await control("accept", clientId);
      expect((await incarnations.ensure()).isOpen).toBe(true);
    }));
});
