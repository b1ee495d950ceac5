/**
 * Owns cutting a blob into pieces where its content says, so that equal content makes equal pieces wherever it stands in the blob.
 *
 * The method is that of FastCDC (Xia and others, USENIX ATC 2016): a Gear hash over the last 32 bytes, no cut within the first 64 KiB,
 * and a condition that is harder to meet before the wanted size than behind it, so that most sizes are near it.
 */
import { createHash } from "node:crypto";
import { type BlobPiece, MAX_PIECE_BYTES } from "../../../src/protocol/link.ts";

const MIN_BYTES = 64 * 1024;
const WANTED_BYTES = 256 * 1024;
/** The hash covers this many bytes; those before them have left it. */
const WINDOW_BYTES = 32;
/** The upper bits of the hash depend on the whole window. A cut needs 20 of them to be zero, and 16 behind the wanted size. */
const HARD_MASK = 0xfffff000 | 0;
const EASY_MASK = 0xffff0000 | 0;

const GEAR = makeGear();

export class PieceCutter {
  readonly #pieces: BlobPiece[] = [];
  #hash = createHash("sha256");
  #size = 0;
  #gear = 0;

  /** Takes the next bytes of the blob. */
  write(bytes: Uint8Array): void {
    let start = 0;
    while (start < bytes.length) {
      const end = this.#findCut(bytes, start);
      this.#hash.update(bytes.subarray(start, end.at));
      this.#size += end.at - start;
      if (end.isCut) this.#cut();
      start = end.at;
    }
  }

  /** Ends the blob. @returns its pieces in order. */
  finish(): BlobPiece[] {
    if (this.#size > 0) this.#cut();
    return this.#pieces;
  }

  #cut(): void {
    this.#pieces.push({ sha256: this.#hash.digest("hex"), size: this.#size });
    this.#hash = createHash("sha256");
    this.#size = 0;
    this.#gear = 0;
  }

  /** Finds where the piece that has begun ends, at most at the end of `bytes`. */
  #findCut(bytes: Uint8Array, start: number): { at: number; isCut: boolean } {
    const begun = this.#size;
    // No cut can be there, so nothing before the window of the first possible cut has to be hashed.
    let at = Math.min(bytes.length, start + Math.max(0, MIN_BYTES - WINDOW_BYTES - begun));
    const first = start + MIN_BYTES - begun;
    const wanted = start + WANTED_BYTES - begun;
    const last = Math.min(bytes.length, start + MAX_PIECE_BYTES - begun);
    let gear = this.#gear;
    for (const limit of [Math.min(last, first), Math.min(last, wanted), last]) {
      const mask = limit <= first ? 0 : limit <= wanted ? HARD_MASK : EASY_MASK;
      for (; at < limit; at += 1) {
        gear = ((gear << 1) + (GEAR[bytes[at] as number] as number)) | 0;
        if (mask !== 0 && (gear & mask) === 0) return { at: at + 1, isCut: true };
      }
    }
    this.#gear = gear;
    return { at: last, isCut: last - start + begun >= MAX_PIECE_BYTES };
  }
}

/** A number for each byte, by the SplitMix32 generator. All runners need the same, or equal content would be cut differently. */
function makeGear(): Int32Array {
  const gear = new Int32Array(256);
  let state = 0x50795245;
  for (let byte = 0; byte < gear.length; byte += 1) {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    gear[byte] = mixed ^ (mixed >>> 15);
  }
  return gear;
}
