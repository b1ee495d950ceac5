/** Owns writing an incoming blob to a file outside every sandbox, held to its size and its checksum. */
import { createHash } from "node:crypto";
import { open, rm } from "node:fs/promises";

export interface SpooledBlob {
  path: string;
  size: number;
}

export class SpoolError extends Error {
  override name = "SpoolError";
  readonly code: "too_large" | "checksum";

  constructor(code: "too_large" | "checksum") {
    super(`The blob was refused: ${code}`);
    this.code = code;
  }
}

/**
 * Writes `body` to the new file `path`, readable by this user alone. Nothing is left behind where it throws.
 *
 * @param sha256 what the bytes must hash to, in lower-case hex.
 * @throws SpoolError `too_large`, `checksum`.
 */
export async function spoolBlob(
  path: string,
  body: ReadableStream<Uint8Array>,
  sha256: string,
  maxBytes: number,
): Promise<SpooledBlob> {
  const file = await open(path, "wx", 0o600);
  try {
    const hash = createHash("sha256");
    let size = 0;
    for await (const piece of body) {
      size += piece.byteLength;
      if (size > maxBytes) throw new SpoolError("too_large");
      hash.update(piece);
      await file.appendFile(piece);
    }
    if (hash.digest("hex") !== sha256) throw new SpoolError("checksum");
    await file.close();
    return { path, size };
  } catch (error) {
    await file.close();
    await rm(path, { force: true });
    throw error;
  }
}
