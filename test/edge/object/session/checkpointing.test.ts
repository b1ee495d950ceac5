/** Checkpointing by itself: records, blobs in R2, the recovery checkpoint, with a scripted runner. */
import { beforeEach, describe, expect, it } from "vitest";
import type { RunnerLink } from "../../../../src/object/runner/runner-link.ts";
import type { ClientStores } from "../../../../src/object/session/client-stores.ts";
import { NamedSession } from "../../../../src/object/session/named-session.ts";
import { newSession } from "../../../../src/object/store/session-table.ts";
import { ProblemError } from "../../../../src/problem.ts";
import type { CheckpointId } from "../../../../src/protocol/identity.ts";
import { control, env, objectId, registerRunner } from "../../support/edge-client.ts";
import { SESSION, withStores } from "../../support/object-parts.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `k-${crypto.randomUUID()}`;
  await registerRunner();
});

interface Parts {
  stores: ClientStores;
  session: NamedSession;
  link: RunnerLink;
}

const run = (use: (parts: Parts) => Promise<void>, settings: Record<string, string> = {}) =>
  withStores(
    async (stores) => {
      const session = new NamedSession(stores, newSession(SESSION));
      await use({ stores, session, link: await session.incarnations.ensure() });
    },
    settings,
    clientId,
  );

const blobs = async () => (await env.CHECKPOINTS.list({ prefix: `checkpoints/${objectId(clientId)}/` })).objects.length;
const codeOf = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof ProblemError ? error.init.code : error;
};

describe("a checkpoint", () => {
  it("is stored, listed, and becomes what brings the session back", () =>
    run(async ({ stores, session, link }) => {
      session.context.noteChange();
      const taken = await session.checkpointing.take(link, "asked", "first");
      expect(taken).toMatchObject({ durable: true, kind: "asked", name: "first" });
      expect(stores.checkpoints.list(SESSION)).toEqual([taken]);
      expect(stores.checkpoints.visible(taken.id)).toEqual(taken);
      expect(session.context.record).toMatchObject({ recoveryId: taken.id, isDirty: false });
      expect(await blobs()).toBe(1);
    }));

  it("leaves the session dirty if something changed while it was taken", () =>
    run(async ({ session, link }) => {
      const taking = session.checkpointing.take(link, "asked", null);
      session.context.noteChange();
      await taking;
      expect(session.context.record.isDirty).toBe(true);
    }));

  it("that the edge made is not listed, and goes once there is a newer one", () =>
    run(async ({ stores, session, link }) => {
      const automatic = await session.checkpointing.take(link, "automatic", null);
      expect([stores.checkpoints.list(SESSION), stores.checkpoints.visible(automatic.id).kind]).toEqual([
        [],
        "automatic",
      ]);
      const asked = await session.checkpointing.take(link, "asked", null);
      expect([stores.checkpoints.find(automatic.id), await blobs()]).toEqual([null, 1]);
      await session.checkpointing.take(link, "automatic", null);
      expect(stores.checkpoints.find(asked.id)).not.toBeNull();
    }));

  it("that its client deletes is hidden at once, and gone once the session needs it no more", () =>
    run(async ({ stores, session, link }) => {
      const taken = await session.checkpointing.take(link, "asked", null);
      await session.checkpointing.delete(taken, link);
      expect([stores.checkpoints.list(SESSION), stores.checkpoints.find(taken.id)?.kind]).toEqual([[], "kept"]);
      expect(() => stores.checkpoints.visible(taken.id)).toThrow(ProblemError);
      expect(await codeOf(session.checkpointing.restore(link, taken.id, true))).toBe("not_found");
      await session.checkpointing.take(link, "automatic", null);
      expect([stores.checkpoints.find(taken.id), await blobs()]).toEqual([null, 1]);
    }));

  it("too large for the store lives as long as its snapshot, and brings nothing back", () =>
    run(
      async ({ stores, session, link }) => {
        const taken = await session.checkpointing.take(link, "asked", null);
        expect([taken.durable, session.context.record.recoveryId, await blobs()]).toEqual([false, null, 0]);
        expect(await session.checkpointing.restore(link, taken.id, true)).toMatchObject({ source: "snapshot" });
        const automatic = await session.checkpointing.take(link, "automatic", null);
        expect(stores.checkpoints.find(automatic.id)).toBeNull();
        await control("forget-snapshots", clientId);
        expect(await codeOf(session.checkpointing.restore(link, taken.id, true))).toBe("checkpoint_unavailable");
      },
      { CHECKPOINT_MAX_BYTES: "1" },
    ));
});

describe("a restore", () => {
  it("takes the snapshot while there is one, else the blob, and makes the checkpoint the recovery", () =>
    run(async ({ session, link }) => {
      const first = await session.checkpointing.take(link, "asked", null);
      const second = await session.checkpointing.take(link, "asked", null);
      expect(session.context.record.recoveryId).toBe(second.id);
      expect(await session.checkpointing.restore(link, first.id, true)).toMatchObject({ source: "snapshot" });
      expect(session.context.record).toMatchObject({ recoveryId: first.id, isDirty: false });
      await control("forget-snapshots", clientId);
      expect(await session.checkpointing.restore(link, second.id, true)).toMatchObject({ source: "stored" });
    }));

  it("that keeps other names leaves the session dirty", () =>
    run(async ({ session, link }) => {
      const { id } = await session.checkpointing.take(link, "asked", null);
      await session.checkpointing.restore(link, id, false);
      expect(session.context.record.isDirty).toBe(true);
    }));

  it("of a blob that was changed is refused", () =>
    run(async ({ session, link }) => {
      const { id } = await session.checkpointing.take(link, "asked", null);
      const [object] = (await env.CHECKPOINTS.list({ prefix: `checkpoints/${objectId(clientId)}/` })).objects;
      await env.CHECKPOINTS.put(object?.key ?? "", "forged");
      await control("forget-snapshots", clientId);
      expect(await codeOf(session.checkpointing.restore(link, id, true))).toBe("checkpoint_unavailable");
    }));

  it("of a checkpoint that does not exist is not found", () =>
    run(async ({ session, link }) => {
      expect(await codeOf(session.checkpointing.restore(link, "ck_none" as CheckpointId, true))).toBe("not_found");
    }));
});

describe("a new interpreter", () => {
  it("that is gone before it has the state costs no state: the next one gets it", () =>
    run(async ({ session, link }) => {
      const { id } = await session.checkpointing.take(link, "automatic", null);
      await control("kill", clientId);
      await control("die-before-state", clientId);
      expect((await session.incarnations.ensure()).isOpen).toBe(true);
      const { record } = session.context;
      expect([record.phase, record.recoveryId, record.returning]).toEqual(["live", id, null]);
      expect(record.restored?.note).toMatchObject({ reason: "runner_lost", checkpoint_id: id });
    }));
});
