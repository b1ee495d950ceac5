/** Owns writing one pack into R2 while it streams in. Each piece is checked against its hash, so that no checkpoint gets wrong content. */
import { type BlobPiece, MAX_PIECE_BYTES } from "../../protocol/link.ts";

/**
 * @param size of all pieces together.
 * @throws if a piece is not what its hash says, if the content is too short or too long, or if R2 does not take it.
 */
export async function writePack(
  bucket: R2Bucket,
  key: string,
  size: number,
  pieces: readonly BlobPiece[],
  content: ReadableStream<Uint8Array>,
): Promise<void> {
  const { readable, writable } = new FixedLengthStream(size);
  const [only] = pieces;
  // R2 itself checks a pack of one piece, which may be larger than memory.
  const isChecked = pieces.length === 1 && only !== undefined;
  const stored = bucket.put(key, readable, isChecked ? { sha256: only.sha256 } : {});
  const written = isChecked ? content.pipeTo(writable) : writeChecked(content, writable, pieces);
  await Promise.all([stored, written]);
}

async function writeChecked(
  content: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  pieces: readonly BlobPiece[],
): Promise<void> {
  const writer = writable.getWriter();
  try {
    const source = new PieceSource(content);
    for (const { sha256, size } of pieces) {
      const piece = await source.next(size);
      if (hex(await crypto.subtle.digest("SHA-256", piece)) !== sha256)
        throw new Error("a piece does not match its hash");
      await writer.write(piece);
    }
    await source.end();
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => undefined);
    throw error;
  }
}

/** Cuts a stream into pieces of given sizes, of which one at a time is in memory. */
class PieceSource {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(content: ReadableStream<Uint8Array>) {
    this.#reader = content.getReader();
  }

  async next(size: number): Promise<Uint8Array<ArrayBuffer>> {
    if (size > MAX_PIECE_BYTES) throw new Error("a piece is too large");
    const piece = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      if (this.#rest.byteLength === 0) {
        const { value, done } = await this.#reader.read();
        if (done) throw new Error("the pieces ended early");
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, size - filled);
      piece.set(part, filled);
      filled += part.byteLength;
      this.#rest = this.#rest.subarray(part.byteLength);
    }
    return piece;
  }

  async end(): Promise<void> {
    const { done } = await this.#reader.read();
    if (!done || this.#rest.byteLength > 0) throw new Error("more bytes came than the pieces have");
  }
}

function hex(digest: ArrayBuffer): string {
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
