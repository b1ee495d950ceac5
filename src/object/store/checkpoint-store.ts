/** Owns the stored checkpoints of a client: their rows, and their blobs in R2. */
import { notFound } from "../../problem.ts";
import type { CheckpointId, SessionName } from "../../protocol/identity.ts";
import type { Checkpoint, Missing } from "../../protocol/server-message.ts";
import { CheckpointSigner, type Owner, type SignedFields } from "./checkpoint-signature.ts";

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

  constructor(options: CheckpointStoreOptions) {
    this.#options = options;
    this.#signer = new CheckpointSigner(options.secret);
  }

  /**
   * Stores a blob as it streams in. R2 refuses content that does not match `sha256`.
   *
   * @throws if R2 does not take it.
   */
  async putBlob(record: CheckpointRecord, blob: ReadableStream<Uint8Array>): Promise<void> {
    const { readable, writable } = new FixedLengthStream(record.size);
    const piped = blob.pipeTo(writable);
    const stored = this.#options.bucket.put(this.#blobKey(record.session, record.id), readable, {
      sha256: record.sha256,
      customMetadata: { signature: record.signature },
    });
    await Promise.all([stored, piped]);
  }

  /** The stored blob, after its signature was checked; null if it is gone, forged or of another client. */
  async getBlob(owner: Owner, record: CheckpointRecord): Promise<ReadableStream | null> {
    if (!(await this.#signer.isAuthentic(owner, record))) return null;
    const stored = await this.#options.bucket.get(this.#blobKey(record.session, record.id));
    if (stored === null) return null;
    const isTheOne = stored.size === record.size && stored.customMetadata?.signature === record.signature;
    if (isTheOne) return stored.body;
    await stored.body.cancel();
    return null;
  }

  /**
   * Stores the checkpoint once more, unlisted, for another session of the same client.
   *
   * @returns null if its content is gone, forged or was never stored.
   */
  async copy(owner: Owner, record: CheckpointRecord, session: SessionName): Promise<CheckpointRecord | null> {
    const { size, sha256, skipped } = record;
    const unsigned = { id: newCheckpointId(), session, size, sha256 };
    const signature = await this.sign(owner, unsigned);
    const body = record.durable ? await this.getBlob(owner, record) : null;
    if (body === null) return null;
    const rest = { name: null, createdAt: Date.now() / 1000, durable: true, skipped, incarnation: "" };
    const copy: CheckpointRecord = { ...unsigned, ...rest, kind: "automatic", signature };
    await this.putBlob(copy, body);
    this.save(copy);
    return copy;
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

  /** A checkpoint that a client may name: any but one that it has deleted. @throws ProblemError `not_found`. */
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

  /** Forgets a checkpoint; its row goes first, so that a blob that is left behind can never be restored. */
  async delete(record: CheckpointRecord): Promise<void> {
    this.#options.sql.exec("DELETE FROM checkpoint WHERE checkpoint_id = ?", record.id);
    await this.#options.bucket.delete(this.#blobKey(record.session, record.id));
  }

  /** Forgets every checkpoint of one session, or of all. */
  async clear(session?: SessionName): Promise<void> {
    if (session === undefined) this.#options.sql.exec("DELETE FROM checkpoint");
    else this.#options.sql.exec("DELETE FROM checkpoint WHERE session = ?", session);
    const prefix = `checkpoints/${this.#options.prefix}/${session === undefined ? "" : `${session}/`}`;
    for (;;) {
      const { objects, truncated } = await this.#options.bucket.list({ prefix });
      if (objects.length > 0) await this.#options.bucket.delete(objects.map((object) => object.key));
      if (!truncated) return;
    }
  }

  #blobKey(session: SessionName, id: CheckpointId): string {
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
