/** Owns the content of checkpoints in R2: pieces, each stored once for a client, gathered in packs, and deleted when no checkpoint needs them. */
import type { CheckpointId, SessionName } from "../../protocol/identity.ts";
import type { BlobPiece } from "../../protocol/link.ts";
import { writePack } from "./pack-writer.ts";

/** A piece and where it is. */
interface PlacedPiece extends BlobPiece {
  pack: string;
  offset: number;
}

/** Pieces side by side in one pack. */
interface Run {
  pack: string;
  offset: number;
  size: number;
}

/** The content of a checkpoint. workerd cannot pipe a stream of our own making into another one, so this is a method of such a stream. */
export interface BlobContent {
  /** Writes everything, then closes the destination. @throws if a part of it is gone meanwhile. */
  pipeTo(destination: WritableStream<Uint8Array>): Promise<void>;
}

/** Some of the pieces that the store lacks. */
export interface StorePart {
  /** Their indexes, in order. */
  wanted: number[];
  /** Stores them; they come one behind the other. @throws if one is not what it should be, or R2 fails. */
  store(content: ReadableStream<Uint8Array>): Promise<void>;
}

/** What storing one checkpoint takes. `release` must follow. */
export interface StorePlan {
  /** All that the store lacks; one part is to be stored after the other. */
  parts: StorePart[];
  /** Notes that the checkpoint needs these pieces. In one step with writing the checkpoint's row. */
  keep(): void;
  /** The packs of the plan may be deleted again if no checkpoint needs them. */
  release(): void;
}

export interface PieceStoreOptions {
  sql: SqlStorage;
  bucket: R2Bucket;
  /** The object's own id: no other object makes the same keys. */
  prefix: string;
  /** A pack gets no further piece with which it would be larger. */
  packBytes?: number;
}

/**
 * workerd looks at no other socket while the one with the pieces has data, so one pack of 100 MB made every client wait for seconds.
 * Between two packs all others get their turn.
 */
const PACK_BYTES = 4 * 1024 * 1024;

/** How many checkpoints of a session are searched for pieces that a new one has too. */
const SEARCHED = 4;
/** A pack of which a new checkpoint would use less than this share is not used: its pieces are stored again, so that it can be deleted. */
const LEAST_SHARE = 0.5;

export class PieceStore {
  readonly #options: PieceStoreOptions;
  /** Packs that a plan uses or writes. */
  readonly #busy = new Map<StorePlan, Set<string>>();

  constructor(options: PieceStoreOptions) {
    this.#options = options;
  }

  /** Finds out which pieces of a new checkpoint are missing. */
  plan(id: CheckpointId, session: SessionName, pieces: readonly BlobPiece[]): StorePlan {
    const known = this.#reusable(session, pieces);
    const packBytes = this.#options.packBytes ?? PACK_BYTES;
    const placed: PlacedPiece[] = [];
    const packs: { pack: string; size: number; wanted: number[] }[] = [];
    for (const [index, piece] of pieces.entries()) {
      let place = known.get(piece.sha256);
      if (place === undefined) {
        let last = packs.at(-1);
        if (last === undefined || last.size + piece.size > packBytes) {
          last = { pack: crypto.randomUUID(), size: 0, wanted: [] };
          packs.push(last);
        }
        place = { ...piece, pack: last.pack, offset: last.size };
        known.set(piece.sha256, place);
        last.wanted.push(index);
        last.size += piece.size;
      }
      placed.push(place);
    }
    const plan: StorePlan = {
      parts: packs.map(({ pack, size, wanted }) => ({
        wanted,
        store: (content) => {
          const lacking = wanted.flatMap((index) => pieces[index] ?? []);
          return this.#storePack(pack, size, lacking, content);
        },
      })),
      keep: () => this.#keep(id, session, placed),
      release: () => this.#busy.delete(plan),
    };
    this.#busy.set(plan, new Set(placed.map((each) => each.pack)));
    return plan;
  }

  /** The content of a checkpoint; null if a part of it is gone; undefined if this store never had it. */
  async read(id: CheckpointId): Promise<BlobContent | null | undefined> {
    const pieces = this.#piecesOf(id);
    if (pieces === undefined) return undefined;
    const runs = runsOf(pieces);
    const packs = [...new Set(runs.map((run) => run.pack))];
    const found = await Promise.all(packs.map((pack) => this.#options.bucket.head(this.#key(pack))));
    if (packs.some((pack, index) => found[index]?.size !== this.#sizeOf(pack))) return null;
    return { pipeTo: (destination) => this.#writeRuns(runs, destination) };
  }

  /** Lets another checkpoint have the same content. @returns false if there is none. */
  copy(from: CheckpointId, to: CheckpointId, session: SessionName): boolean {
    const pieces = this.#piecesOf(from);
    if (pieces === undefined) return false;
    this.#keep(to, session, pieces);
    return true;
  }

  /** A checkpoint does not need its content any more. `collect` deletes what nothing needs. */
  forget(id: CheckpointId): void {
    const { sql } = this.#options;
    sql.exec("DELETE FROM checkpoint_content WHERE checkpoint_id = ?", id);
    sql.exec("DELETE FROM pack_use WHERE checkpoint_id = ?", id);
  }

  /** Deletes the packs that no checkpoint needs, also those that an interrupted store has left. */
  async collect(): Promise<void> {
    const { sql, bucket } = this.#options;
    const busy = new Set([...this.#busy.values()].flatMap((packs) => [...packs]));
    const unused = sql
      .exec<{ pack_id: string }>(
        "SELECT pack_id FROM pack WHERE NOT EXISTS (SELECT 1 FROM pack_use WHERE pack_use.pack_id = pack.pack_id)",
      )
      .toArray()
      .map((row) => row.pack_id)
      .filter((pack) => !busy.has(pack));
    for (const pack of unused) {
      // The object goes first: if this is interrupted, the row says that there may be one.
      await bucket.delete(this.#key(pack));
      sql.exec("DELETE FROM pack WHERE pack_id = ?", pack);
    }
  }

  /** Forgets everything; the caller deletes the objects under `prefix`. */
  clear(): void {
    for (const table of ["pack", "pack_use", "checkpoint_content"]) this.#options.sql.exec(`DELETE FROM ${table}`);
  }

  async #storePack(pack: string, size: number, pieces: readonly BlobPiece[], content: ReadableStream<Uint8Array>) {
    const { sql, bucket } = this.#options;
    // Before the object, so that an object without a row cannot be left behind.
    sql.exec("INSERT INTO pack (pack_id, size) VALUES (?, ?)", pack, size);
    await writePack(bucket, this.#key(pack), size, pieces, content);
  }

  #keep(id: CheckpointId, session: SessionName, pieces: readonly PlacedPiece[]): void {
    const { sql } = this.#options;
    const packs = [...new Set(pieces.map((piece) => piece.pack))];
    const text = JSON.stringify({
      packs,
      pieces: pieces.map(({ sha256, size, pack, offset }) => [sha256, size, packs.indexOf(pack), offset]),
    });
    sql.exec("DELETE FROM pack_use WHERE checkpoint_id = ?", id);
    sql.exec(
      "INSERT OR REPLACE INTO checkpoint_content (checkpoint_id, session, ordinal, pieces) VALUES (?, ?, (SELECT COALESCE(MAX(ordinal), 0) + 1 FROM checkpoint_content), ?)",
      id,
      session,
      text,
    );
    for (const pack of packs) sql.exec("INSERT INTO pack_use (pack_id, checkpoint_id) VALUES (?, ?)", pack, id);
  }

  /** The pieces of the session's newest checkpoints that a new one with `pieces` should use again, by their hash. */
  #reusable(session: SessionName, pieces: readonly BlobPiece[]): Map<string, PlacedPiece> {
    const { sql } = this.#options;
    const query =
      "SELECT checkpoint_id, pieces FROM checkpoint_content WHERE session = ? ORDER BY ordinal DESC LIMIT ?";
    const known = new Map<string, PlacedPiece>();
    for (const row of sql.exec<{ checkpoint_id: string; pieces: string }>(query, session, SEARCHED)) {
      for (const piece of parsePieces(row.pieces)) if (!known.has(piece.sha256)) known.set(piece.sha256, piece);
    }
    const used = new Map<string, number>();
    for (const sha256 of new Set(pieces.map((piece) => piece.sha256))) {
      const place = known.get(sha256);
      if (place !== undefined) used.set(place.pack, (used.get(place.pack) ?? 0) + place.size);
    }
    for (const [sha256, { pack }] of known) {
      const size = this.#sizeOf(pack);
      const isMostlyUnused = size === null || (used.get(pack) ?? 0) < size * LEAST_SHARE;
      if (isMostlyUnused) known.delete(sha256);
    }
    return known;
  }

  #piecesOf(id: CheckpointId): PlacedPiece[] | undefined {
    const { sql } = this.#options;
    const query = "SELECT pieces FROM checkpoint_content WHERE checkpoint_id = ?";
    const row = sql.exec<{ pieces: string }>(query, id).toArray()[0];
    return row === undefined ? undefined : parsePieces(row.pieces);
  }

  #sizeOf(pack: string): number | null {
    const found = this.#options.sql.exec<{ size: number }>("SELECT size FROM pack WHERE pack_id = ?", pack).toArray();
    return found[0]?.size ?? null;
  }

  async #writeRuns(runs: readonly Run[], destination: WritableStream<Uint8Array>): Promise<void> {
    for (const { pack, offset, size } of runs) {
      const part = await this.#options.bucket.get(this.#key(pack), { range: { offset, length: size } });
      if (part === null) {
        await destination.abort("a part of the checkpoint is gone");
        throw new Error("a part of the checkpoint is gone");
      }
      await part.body.pipeTo(destination, { preventClose: true });
    }
    await destination.close();
  }

  /** No session's name begins with a dot. */
  #key(pack: string): string {
    return `checkpoints/${this.#options.prefix}/.packs/${pack}`;
  }
}

function parsePieces(text: string): PlacedPiece[] {
  const { packs, pieces } = JSON.parse(text) as { packs: string[]; pieces: [string, number, number, number][] };
  return pieces.map(([sha256, size, pack, offset]) => ({ sha256, size, pack: packs[pack] ?? "", offset }));
}

function runsOf(pieces: readonly PlacedPiece[]): Run[] {
  const runs: Run[] = [];
  for (const { pack, offset, size } of pieces) {
    const last = runs.at(-1);
    if (last !== undefined && last.pack === pack && last.offset + last.size === offset) last.size += size;
    else runs.push({ pack, offset, size });
  }
  return runs;
}
