/** Owns the position in one live process's output, so that bytes sent twice, by the process and by the keeper, are taken once. */
import { ChannelViolation, OUTPUT_HEADER_BYTES } from "../channel/framing.ts";

export type StreamName = "stdout" | "stderr";

/** A piece of output: the bytes of an `O` frame, or the text of an `output` message. */
export type OutputPiece =
  | { offset: number; stream: StreamName; bytes: Buffer; text?: undefined }
  | { offset: number; stream: StreamName; bytes?: undefined; text: string };

/** @throws ChannelViolation if the frame is too short or names no stream. */
export function readOutputFrame(payload: Buffer): OutputPiece {
  const stream = payload.length < OUTPUT_HEADER_BYTES ? 0 : payload[8];
  if (stream !== 1 && stream !== 2) throw new ChannelViolation("an output frame has no valid stream");
  const offset = payload.readUInt32LE(0) + payload.readUInt32LE(4) * 2 ** 32;
  return { offset, stream: stream === 1 ? "stdout" : "stderr", bytes: payload.subarray(OUTPUT_HEADER_BYTES) };
}

const surrogatePairs = /[\ud800-\udbff][\udc00-\udfff]/g;

export class OutputCursor {
  /** Bytes taken so far; null before the first piece, whose offset is where this process begins. */
  #taken: number | null = null;
  /**
   * Python counts two lone surrogates in a row as six bytes. In JSON they arrive as one pair, which counts as four bytes. So after
   * text with pairs, the next offset may be two bytes further for each pair.
   */
  #slack = 0;

  /**
   * The text of a piece that continues the output.
   *
   * @throws ChannelViolation if the piece does not begin at the end of the last one.
   */
  next(piece: OutputPiece): string {
    const ahead = this.#taken === null ? 0 : piece.offset - this.#taken;
    if (ahead < 0 || ahead > this.#slack) throw new ChannelViolation("output out of order");
    return this.#take(piece, 0);
  }

  /** The part of a keeper's piece that was not taken yet; empty if all of it was. */
  rest(piece: OutputPiece): string {
    const known = this.#taken === null ? 0 : this.#taken - piece.offset;
    return this.#take(piece, Math.max(0, known));
  }

  #take(piece: OutputPiece, skippedBytes: number): string {
    if (piece.bytes) {
      if (skippedBytes >= piece.bytes.length) return "";
      this.#taken = piece.offset + piece.bytes.length;
      this.#slack = 0;
      return piece.bytes.toString("utf8", skippedBytes);
    }
    const length = Buffer.byteLength(piece.text);
    if (skippedBytes >= length) return "";
    this.#taken = piece.offset + length;
    this.#slack = 2 * (piece.text.match(surrogatePairs)?.length ?? 0);
    return skippedBytes === 0 ? piece.text : textAfter(piece.text, skippedBytes);
  }
}

/** `text` without the characters that begin in its first `bytes` UTF-8 bytes. */
function textAfter(text: string, bytes: number): string {
  let at = 0;
  let left = bytes;
  while (left > 0 && at < text.length) {
    const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
    left -= Buffer.byteLength(character);
    at += character.length;
  }
  return text.slice(at);
}
