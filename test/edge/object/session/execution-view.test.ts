/** How an execution is shown when it is large: cut, never refused. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { ClientStores } from "../../../../src/object/session/client-stores.ts";
import { viewOf } from "../../../../src/object/session/execution-view.ts";
import { NamedSession } from "../../../../src/object/session/named-session.ts";
import { newSession } from "../../../../src/object/store/session-table.ts";
import type { EventType } from "../../../../src/protocol/event.ts";
import type { ExecutionId, SessionName } from "../../../../src/protocol/identity.ts";
import type { Execution } from "../../../../src/protocol/rest.ts";
import { env, stubOf } from "../../support/edge-client.ts";

const ID = "x" as ExecutionId;
const NAME = "default" as SessionName;
const MIB = 1024 * 1024;
/** What the platform takes from an object. */
const PLATFORM_BYTES = 32 * MIB;

/** The view of one execution with these events, in an object whose journal keeps them all. */
function viewWith(events: { type: EventType; data: object }[]): Promise<Execution> {
  return runInDurableObject(stubOf(`v-${crypto.randomUUID()}`), (_, state) => {
    const stores = new ClientStores(state, { ...env, JOURNAL_MAX_BYTES: String(512 * MIB) } as never);
    const session = new NamedSession(stores, newSession(NAME));
    stores.executions.add({ executionId: ID, session: NAME, policy: "commit_always", timeout: 1, code: "" });
    events.forEach(({ type, data }, index) => {
      const seq = index + 1;
      const event = { kind: "event" as const, seq, type, executionId: ID };
      const frame = JSON.stringify({ type, seq, data: { type, execution_id: ID, ...data } });
      session.context.journal.append({ ...event, frame });
      stores.executions.noteEvent(NAME, { ...event, frame });
    });
    const record = stores.executions.find(ID);
    if (record === undefined) throw new Error("no execution");
    return viewOf(record, session);
  });
}

const output = (text: string) => ({ type: "output" as const, data: { data: text, stream: "stdout" } });

it("shows the newest output of an execution that is too large for one answer", async () => {
  const view = await viewWith(Array.from({ length: 600 }, (_, index) => output(`${index}${"漢".repeat(50_000)}`)));
  expect(view.output_truncated).toBe(true);
  expect(view.stdout.length).toBeGreaterThan(5_000_000);
  // Two bytes a character on the way to the front.
  expect(view.stdout.length * 2).toBeLessThan(PLATFORM_BYTES);
  expect(view.stdout).toContain("599漢");
  expect(view.stdout).not.toContain("100漢");
});

it("shows all of an execution that fits", async () => {
  const view = await viewWith([output("a".repeat(16 * MIB)), output("b")]);
  expect([view.stdout.length, view.output_truncated]).toEqual([16 * MIB + 1, false]);
});

it("shows displays up to 8 MiB, and says that there are more", async () => {
  const display = { type: "display" as const, data: { mime: { "text/plain": "d".repeat(3 * MIB) }, metadata: {} } };
  const view = await viewWith([display, display, display, display]);
  expect([view.displays.length, view.displays_truncated, view.output_truncated]).toEqual([2, true, false]);
});

it("leaves out a value that no answer can carry, and keeps the ending", async () => {
  const value = "漢".repeat(20 * MIB);
  const view = await viewWith([
    { type: "result", data: { value, repr: "big", execution_time: 1, transaction: "committed" } },
  ]);
  expect(view).toMatchObject({ status: "succeeded", output_truncated: true, result: { value: null, repr: "big" } });
});
