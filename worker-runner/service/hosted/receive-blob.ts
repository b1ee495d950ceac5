/** Owns writing a blob that the edge sends into a file, and checking its size and its checksum. */
import { BlobTooLarge, BlobWriter } from "../../session/state/blob-writer.ts";

export class BlobRefused extends Error {
  override readonly name = "BlobRefused";
  readonly code: "too_large" | "checksum";

  constructor(code: "too_large" | "checksum") {
    super(`The blob was refused: ${code}`);
    this.code = code;
  }
}

/**
 * Writes `body` to the new file `path`. If it throws, no file is left.
 *
 * @param sha256 the expected hash of the bytes, in lower-case hex.
 * @throws BlobRefused `too_large`, `checksum`.
 */
export async function receiveBlob(
  path: string,
  body: ReadableStream<Uint8Array>,
  sha256: string,
  maxBytes: number,
): Promise<void> {
  const writer = await BlobWriter.create(path, maxBytes);
  try {
    for await (const piece of body) await writer.write(piece);
    const file = await writer.finish();
    if (file.sha256 !== sha256) throw new BlobRefused("checksum");
  } catch (error) {
    await writer.discard();
    throw error instanceof BlobTooLarge ? new BlobRefused("too_large") : error;
  }
}
