/** Owns the stored checkpoints of a client: their rows, and the signatures of their contents. `piece-store.ts` has the contents. */
import { notFound } from "../../problem.ts";
import type { CheckpointId, SessionName } from "../../protocol/identity.ts";
import type { BlobPiece } from "../../protocol/link.ts";
import type { Checkpoint, Missing } from "../../protocol/server-message.ts";
import { CheckpointSigner, type Owner, type SignedFields } from "./checkpoint-signature.ts";
import { type BlobContent, PieceStore, type StorePlan } from "./piece-store.ts";

/**
 * `asked`: a client asked for it · `automatic`: the edge made it to restore the session; it is not listed ·
 * `kept`: the client deleted it, but the session needs it until there is a newer one.
 */
export type CheckpointKind = "asked" | "automatic" | "kept";

/** Whether a checkpoint is in its client's list, and the client's to delete. */
export function isListed({ kind }: { kind: CheckpointKind }): boolean {
  return kind === "asked";
}

export interface CheckpointRecord {
  id: CheckpointId;
  session: SessionName;
  kind: CheckpointKind;
  name: string | null;
  createdAt: number;
  size: number;
  sha256: string;
  durable: boolean;
  skipped: Missing[];
  signature: string;
  /** Key of the incarnation that may still hold the snapshot. */
  incarnation: string;
}

type Row = {
  checkpoint_id: string;
  session: string;
  kind: string;
  name: string | null;
  created_at: number;
  size: number;
  sha256: string;
  durable: number;
  skipped: string;
  signature: string;
  incarnation: string;
};

export interface CheckpointStoreOptions {
  sql: SqlStorage;
  bucket: R2Bucket;
  /** The object's own id: no other object makes the same keys. */
  prefix: string;
  secret: string;
}

export class CheckpointStore {
  readonly #options: CheckpointStoreOptions;
  readonly #signer: CheckpointSigner;
  readonly #pieces: PieceStore;

  constructor(options: CheckpointStoreOptions) {
    this.#options = options;
    this.#signer = new CheckpointSigner(options.secret);
    this.#pieces = new PieceStore(options);
  }

  /** Plans to store the content of a checkpoint. @throws Error if the pieces are not as long as the content. */
  plan(record: CheckpointRecord, pieces: readonly BlobPiece[]): StorePlan {
    // A runner of an earlier version does not cut its blobs.
    const cut = pieces.length > 0 ? pieces : [{ sha256: record.sha256, size: record.size }];
    const size = cut.reduce((sum, piece) => sum + piece.size, 0);
    if (size !== record.size) throw new Error("the lengths of a checkpoint's pieces do not add up to its length");
    return this.#pieces.plan(record.id, record.session, cut);
  }

  /** The stored content, after its signature was checked; null if it is gone, forged or of another client. */
  async getBlob(owner: Owner, record: CheckpointRecord): Promise<BlobContent | null> {
    if (!(await this.#signer.isAuthentic(owner, record))) return null;
    const content = await this.#pieces.read(record.id);
    return content === undefined ? this.#getWhole(record) : content;
  }

  /**
   * Stores the checkpoint once more, unlisted, for another session of the same client. Both share their content.
   *
   * @returns null if its content is gone, forged or was never stored.
   */
  async copy(owner: Owner, record: CheckpointRecord, session: SessionName): Promise<CheckpointRecord | null> {
    const { size, sha256, skipped } = record;
    const unsigned = { id: newCheckpointId(), session, size, sha256 };
    const signature = await this.sign(owner, unsigned);
    if (!record.durable || !(await this.#signer.isAuthentic(owner, record))) return null;
    if (!this.#pieces.copy(record.id, unsigned.id, session)) return null;
    const rest = { name: null, createdAt: Date.now() / 1000, durable: true, skipped, incarnation: "" };
    const copy: CheckpointRecord = { ...unsigned, ...rest, kind: "automatic", signature };
    this.save(copy);
    return copy;
  }

  /** Deletes stored content that no checkpoint needs any more. */
  collect(): Promise<void> {
    return this.#pieces.collect();
  }

  sign(owner: Owner, record: SignedFields): Promise<string> {
    return this.#signer.sign(owner, record);
  }

  save(record: CheckpointRecord): void {
    this.#options.sql.exec(
      "INSERT OR REPLACE INTO checkpoint (checkpoint_id, ordinal, session, kind, name, created_at, size, sha256, durable, skipped, signature, incarnation) VALUES (?, (SELECT COALESCE(MAX(ordinal), 0) + 1 FROM checkpoint), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      record.id,
      record.session,
      record.kind,
      record.name,
      record.createdAt,
      record.size,
      record.sha256,
      record.durable ? 1 : 0,
      JSON.stringify(record.skipped),
      record.signature,
      record.incarnation,
    );
  }

  find(id: CheckpointId): CheckpointRecord | null {
    const row = this.#options.sql.exec<Row>("SELECT * FROM checkpoint WHERE checkpoint_id = ?", id).toArray()[0];
    return row === undefined ? null : recordOf(row);
  }

  /** A checkpoint that a client may name: any that it has not deleted. @throws ProblemError `not_found`. */
  visible(id: CheckpointId): CheckpointRecord {
    const found = this.find(id);
    if (found === null || found.kind === "kept") throw notFound("checkpoint");
    return found;
  }

  /** The listed checkpoints, newest first. */
  list(session?: SessionName): CheckpointRecord[] {
    const { sql } = this.#options;
    const rows =
      session === undefined
        ? sql.exec<Row>("SELECT * FROM checkpoint WHERE kind = 'asked' ORDER BY ordinal DESC")
        : sql.exec<Row>("SELECT * FROM checkpoint WHERE kind = 'asked' AND session = ? ORDER BY ordinal DESC", session);
    return rows.toArray().map(recordOf);
  }

  /** How many clients asked for, in all sessions. */
  countAsked(): number {
    return this.#options.sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM checkpoint WHERE kind = 'asked'").one().n;
  }

  /** Bytes of all blobs in R2. */
  storedBytes(): number {
    return this.#options.sql
      .exec<{ n: number }>("SELECT COALESCE(SUM(size), 0) AS n FROM checkpoint WHERE durable = 1")
      .one().n;
  }

  /** Those that no client asked for, the oldest first. */
  oldestAutomatic(): CheckpointRecord[] {
    const rows = this.#options.sql.exec<Row>("SELECT * FROM checkpoint WHERE kind <> 'asked' ORDER BY ordinal");
    return rows.toArray().map(recordOf);
  }

  count(session: SessionName): number {
    return this.#options.sql
      .exec<{ n: number }>("SELECT COUNT(*) AS n FROM checkpoint WHERE kind = 'asked' AND session = ?", session)
      .one().n;
  }

  /** Forgets a checkpoint; its row goes first, so that content that is left behind can never be restored. */
  async delete(record: CheckpointRecord): Promise<void> {
    this.#options.sql.exec("DELETE FROM checkpoint WHERE checkpoint_id = ?", record.id);
    this.#pieces.forget(record.id);
    await this.#pieces.collect();
    await this.#options.bucket.delete(this.#wholeKey(record.session, record.id));
  }

  /** Forgets every checkpoint of one session, or of all. */
  async clear(session?: SessionName): Promise<void> {
    const { sql, bucket } = this.#options;
    if (session === undefined) {
      sql.exec("DELETE FROM checkpoint");
      this.#pieces.clear();
    } else {
      const ids = sql.exec<{ id: CheckpointId }>(
        "DELETE FROM checkpoint WHERE session = ? RETURNING checkpoint_id AS id",
        session,
      );
      for (const { id } of ids.toArray()) this.#pieces.forget(id);
      await this.#pieces.collect();
    }
    const prefix = `checkpoints/${this.#options.prefix}/${session === undefined ? "" : `${session}/`}`;
    for (;;) {
      const { objects, truncated } = await bucket.list({ prefix });
      if (objects.length > 0) await bucket.delete(objects.map((object) => object.key));
      if (!truncated) return;
    }
  }

  /** A blob as earlier versions stored it: whole. */
  async #getWhole(record: CheckpointRecord): Promise<BlobContent | null> {
    const stored = await this.#options.bucket.get(this.#wholeKey(record.session, record.id));
    if (stored === null) return null;
    const isTheOne = stored.size === record.size && stored.customMetadata?.signature === record.signature;
    if (isTheOne) return stored.body;
    await stored.body.cancel();
    return null;
  }

  #wholeKey(session: SessionName, id: CheckpointId): string {
    return `checkpoints/${this.#options.prefix}/${session}/${id}`;
  }
}

/** Never used before. */
export function newCheckpointId(): CheckpointId {
  return `ck_${crypto.randomUUID().replaceAll("-", "")}` as CheckpointId;
}

/** As clients see it. */
export function checkpointOf(record: CheckpointRecord): Checkpoint {
  return {
    checkpoint_id: record.id,
    name: record.name,
    created_at: record.createdAt,
    size: record.size,
    durable: record.durable,
    skipped: record.skipped,
  };
}

function recordOf(row: Row): CheckpointRecord {
  return {
    id: row.checkpoint_id as CheckpointId,
    session: row.session as SessionName,
    kind: row.kind as CheckpointKind,
    name: row.name,
    createdAt: row.created_at,
    size: row.size,
    sha256: row.sha256,
    durable: row.durable === 1,
    skipped: JSON.parse(row.skipped) as Missing[],
    signature: row.signature,
    incarnation: row.incarnation,
  };
}
