/** The content of checkpoints in a real bucket: each piece once, nothing that is damaged, and nothing left that no checkpoint needs. */
import { runInDurableObject } from "cloudflare:test";

import { expect, it } from "vitest";
import { PieceStore, type StorePart, type StorePlan } from "../../../../src/object/store/piece-store.ts";
import type { CheckpointId, SessionName } from "../../../../src/protocol/identity.ts";
import type { BlobPiece } from "../../../../src/protocol/link.ts";
import { env } from "../../support/edge-client.ts";

const PACK_BYTES = 5_000;
const session = "work" as SessionName;
const idOf = (id: string) => id as CheckpointId;

interface Cut extends BlobPiece {
  bytes: Uint8Array;
}

/** A piece of 1,000 equal bytes. */
async function pieceOf(byte: number): Promise<Cut> {
  const bytes = new Uint8Array(1_000).fill(byte);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { sha256: [...digest].map((each) => each.toString(16).padStart(2, "0")).join(""), size: 1_000, bytes };
}

function streamOf(pieces: readonly Cut[]): ReadableStream<Uint8Array> {
  return new Blob(pieces.map(({ bytes }) => bytes as Uint8Array<ArrayBuffer>)).stream();
}

interface Ground {
  sql: SqlStorage;
  prefix: string;
  store: PieceStore;
  /** Stores a checkpoint as the object does. @returns how many bytes had to come. */
  save(id: string, pieces: readonly Cut[]): Promise<number>;
  /** First bytes of the pieces of a checkpoint, or why it cannot be read. */
  read(id: string): Promise<number[] | "gone" | "unknown">;
  /** Sizes of all objects in the bucket. */
  sizes(): Promise<number[]>;
}

let objects = 0;

async function withStore(use: (ground: Ground) => Promise<void>): Promise<void> {
  objects += 1;
  const prefix = `piece-test-${objects}`;
  const namespace = env.CLIENT_SESSIONS;
  await runInDurableObject(namespace.get(namespace.idFromName(prefix)), async (_instance, { storage }) => {
    const { sql } = storage;
    const store = new PieceStore({ sql, bucket: env.CHECKPOINTS, prefix, packBytes: PACK_BYTES });
    await use({
      sql,
      prefix,
      store,
      async save(id, pieces) {
        const plan = store.plan(idOf(id), session, pieces);
        let bytes = 0;
        try {
          for (const { wanted, store } of plan.parts) {
            const come = wanted.flatMap((index) => pieces[index] ?? []);
            await store(streamOf(come));
            bytes += come.reduce((sum, { size }) => sum + size, 0);
          }
          plan.keep();
        } finally {
          plan.release();
        }
        return bytes;
      },
      async read(id) {
        const content = await store.read(idOf(id));
        if (!content) return content === null ? "gone" : "unknown";
        const { readable, writable } = new IdentityTransformStream();
        const [bytes] = await Promise.all([new Response(readable).arrayBuffer(), content.pipeTo(writable)]);
        const read = new Uint8Array(bytes);
        return Array.from({ length: read.length / 1_000 }, (_, at) => read[at * 1_000] ?? -1);
      },
      async sizes() {
        const { objects: found } = await env.CHECKPOINTS.list({ prefix: `checkpoints/${prefix}/` });
        return found.map(({ size }) => size).sort((a, b) => a - b);
      },
    });
  });
}

/** The only part of a plan. */
function partOf({ parts }: StorePlan): StorePart {
  expect(parts.length).toBe(1);
  return parts[0] as StorePart;
}

const many = (...bytes: number[]) => Promise.all(bytes.map(pieceOf));

it("stores a piece once, reads each checkpoint in its order, and deletes what none needs", async () => {
  await withStore(async ({ store, save, read, sizes }) => {
    expect(await save("a", await many(1, 2, 2, 3, 4))).toBe(4_000);
    expect(await save("b", await many(1, 2, 9, 3, 4))).toBe(1_000);
    expect(await read("a")).toEqual([1, 2, 2, 3, 4]);
    expect(await read("b")).toEqual([1, 2, 9, 3, 4]);
    expect(await sizes()).toEqual([1_000, 4_000]);
    store.forget(idOf("a"));
    await store.collect();
    expect(await read("a")).toBe("unknown");
    expect(await read("b")).toEqual([1, 2, 9, 3, 4]);
    store.forget(idOf("b"));
    await store.collect();
    expect(await sizes()).toEqual([]);
  });
});

it("spreads what is missing over packs of a bounded size, and replaces only those that are mostly unused", async () => {
  await withStore(async ({ store, save, read, sizes }) => {
    expect(await save("a", await many(1, 2, 3, 4, 5, 6, 7, 1, 8, 9, 10, 11))).toBe(11_000);
    expect(await sizes()).toEqual([1_000, 5_000, 5_000]);
    expect(await read("a")).toEqual([1, 2, 3, 4, 5, 6, 7, 1, 8, 9, 10, 11]);
    expect(await save("b", await many(1, 12, 13, 14, 15, 6, 7, 8, 9, 16))).toBe(6_000);
    store.forget(idOf("a"));
    await store.collect();
    expect(await sizes()).toEqual([1_000, 5_000, 5_000]);
    expect(await read("b")).toEqual([1, 12, 13, 14, 15, 6, 7, 8, 9, 16]);
  });
});

it("stores pieces of a pack that is mostly unused again, so that the pack can go", async () => {
  await withStore(async ({ store, save, read, sizes }) => {
    await save("a", await many(1, 2, 3, 4, 5));
    expect(await save("b", await many(1, 2, 6, 7, 8))).toBe(5_000);
    store.forget(idOf("a"));
    await store.collect();
    expect(await sizes()).toEqual([5_000]);
    expect(await read("b")).toEqual([1, 2, 6, 7, 8]);
  });
});

it("takes no piece that is not what its hash says, and no more or fewer bytes", async () => {
  await withStore(async ({ store, save, sizes }) => {
    const pieces = await many(1, 2);
    const [first, second] = pieces as [Cut, Cut];
    const wrong: Cut[][] = [[second, first], [first], [...pieces, first]];
    for (const content of wrong) {
      const plan = store.plan(idOf("a"), session, pieces);
      await expect(partOf(plan).store(streamOf(content))).rejects.toThrow();
      plan.release();
    }
    await store.collect();
    expect(await sizes()).toEqual([]);
    expect(await save("a", pieces)).toBe(2_000);
  });
});

it("leaves nothing behind if it is interrupted, and takes nothing away from a store that is under way", async () => {
  await withStore(async ({ sql, prefix, store, save, read, sizes }) => {
    const abandoned = store.plan(idOf("lost"), session, await many(1, 2));
    await partOf(abandoned).store(streamOf(await many(1, 2)));
    // The object ended here; another one takes over.
    const later = new PieceStore({ sql, bucket: env.CHECKPOINTS, prefix, packBytes: PACK_BYTES });
    await store.collect();
    expect(await sizes()).toEqual([2_000]);
    await later.collect();
    expect(await sizes()).toEqual([]);

    await save("a", await many(1, 2, 3));
    const plan = store.plan(idOf("b"), session, await many(1, 2, 4));
    store.forget(idOf("a"));
    await store.collect();
    await partOf(plan).store(streamOf(await many(4)));
    plan.keep();
    plan.release();
    expect(await read("b")).toEqual([1, 2, 4]);
  });
});

it("shares the content with a copy, and says if a part of it is gone or of another size", async () => {
  await withStore(async ({ prefix, store, save, read, sizes }) => {
    await save("a", await many(1, 2));
    expect(store.copy(idOf("a"), idOf("copy"), "other" as SessionName)).toBe(true);
    expect(store.copy(idOf("none"), idOf("copy2"), session)).toBe(false);
    store.forget(idOf("a"));
    await store.collect();
    expect(await read("copy")).toEqual([1, 2]);
    expect(await sizes()).toEqual([2_000]);
    const [object] = (await env.CHECKPOINTS.list({ prefix: `checkpoints/${prefix}/` })).objects;
    await env.CHECKPOINTS.put(object?.key ?? "", "forged");
    expect(await read("copy")).toBe("gone");
    await env.CHECKPOINTS.delete(object?.key ?? "");
    expect(await read("copy")).toBe("gone");
  });
});
