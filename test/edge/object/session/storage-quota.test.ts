/** What a client and its tenant may store: refused clearly, and counted down again. */
import { beforeEach, expect, it } from "vitest";
import { branch } from "../../../../src/object/session/branching.ts";
import type { ClientStores } from "../../../../src/object/session/client-stores.ts";
import { NamedSession } from "../../../../src/object/session/named-session.ts";
import { newSession } from "../../../../src/object/store/session-table.ts";
import { ProblemError } from "../../../../src/problem.ts";
import type { SessionName } from "../../../../src/protocol/identity.ts";
import { reportStored } from "../../../../src/tenant/tenant-report.ts";
import { env, registerRunner } from "../../support/edge-client.ts";
import { SESSION, withStores } from "../../support/object-parts.ts";

beforeEach(() => registerRunner());

const open = async (stores: ClientStores, name = SESSION) => {
  // The link must outlast the test also on a busy machine.
  Object.assign(stores.settings, { LINK_IDLE_SECONDS: 600 });
  const session = new NamedSession(stores, newSession(name));
  return { session, link: await session.incarnations.ensure() };
};

/** "stored", or the code of the refusal. */
const outcomeOf = (work: Promise<unknown>) =>
  work.then(
    () => "stored",
    (error: unknown) => (error instanceof ProblemError ? error.init.code : String(error)),
  );

it("refuses more checkpoints than a client may have, until one is deleted", () =>
  withStores(
    async (stores) => {
      const { session, link } = await open(stores);
      const first = await session.checkpointing.take(link, "asked", null);
      await session.checkpointing.take(link, "asked", null);
      expect(await outcomeOf(session.checkpointing.take(link, "asked", null))).toBe("storage_full");
      await session.checkpointing.delete(first, link);
      expect(await outcomeOf(session.checkpointing.take(link, "asked", null))).toBe("stored");
    },
    { MAX_CHECKPOINTS_PER_CLIENT: "2" },
  ));

it("refuses what is more than a client may store, and a newer state in place of an older one is not more", () =>
  withStores(async (stores) => {
    const { session, link } = await open(stores);
    const { size } = await session.checkpointing.take(link, "automatic", null);
    Object.assign(stores.settings, { MAX_STORED_BYTES_PER_CLIENT: size });
    session.context.noteChange();
    expect(await outcomeOf(session.checkpointing.take(link, "automatic", null))).toBe("stored");
    expect(stores.checkpoints.storedBytes()).toBe(size);
    const target = new NamedSession(stores, newSession("other" as SessionName));
    expect(await outcomeOf(branch(session, target, undefined))).toBe("storage_full");
    expect(stores.checkpoints.storedBytes()).toBe(size);
  }));

it("gives up the oldest state that an interpreter has as well, for a checkpoint that is asked for", () =>
  withStores(async (stores) => {
    const first = await open(stores);
    const second = await open(stores, "other" as SessionName);
    const spared = await first.session.checkpointing.take(first.link, "automatic", null);
    Object.assign(stores.settings, { MAX_STORED_BYTES_PER_CLIENT: spared.size });
    const asked = await second.session.checkpointing.take(second.link, "asked", null);
    expect(stores.checkpoints.find(spared.id)).toBeNull();
    expect(stores.checkpoints.storedBytes()).toBe(asked.size);
    // A checkpoint that was asked for makes room for nothing.
    expect(await outcomeOf(second.session.checkpointing.take(second.link, "asked", null))).toBe("storage_full");
  }));

it("counts what all clients of a tenant store", () =>
  withStores(
    async (stores) => {
      const tenant = `t-${crypto.randomUUID()}`;
      stores.noteOwner({ ...stores.owner, tenant });
      const { session, link } = await open(stores);
      const { size } = await session.checkpointing.take(link, "asked", null);
      const { tenant: ofStores } = stores.owner;
      const report = (object: string, bytes: number, isFact = false) =>
        reportStored(env as never, ofStores, { object, bytes, isFact });
      // What is stored already is noted; more is refused.
      expect(await report("another client", 1e12, true)).toBe(true);
      expect(await report("another client", 2e12)).toBe(false);
      expect(await outcomeOf(session.checkpointing.take(link, "asked", null))).toBe("storage_full");
      await report("another client", 0, true);
      expect(await outcomeOf(session.checkpointing.take(link, "asked", null))).toBe("stored");
      expect(stores.checkpoints.storedBytes()).toBe(2 * size);
    },
    { MAX_STORED_BYTES_PER_TENANT: "1000000" },
  ));
