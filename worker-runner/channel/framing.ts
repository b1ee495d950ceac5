/** Owns the framing of docs/channel.md: bytes to frames and back. */

/** Frame kinds, as the byte on the wire. */
export const FrameKind = { json: 0x4a, output: 0x4f, blob: 0x42 } as const;

export const MAX_JSON_BYTES = 33_554_432;
export const MAX_PIECE_BYTES = 262_144;
/** The header of an output frame: u64 offset and u8 stream. */
export const OUTPUT_HEADER_BYTES = 9;

const HEADER_BYTES = 5;

/** A process in a sandbox has broken a rule of the channel. The process is ended. */
export class ChannelViolation extends Error {
  override readonly name = "ChannelViolation";
}

/** What stands before a payload of `length` bytes. */
export function encodeHeader(kind: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(length + 1, 0);
  header[4] = kind;
  return header;
}

/** One frame around `payload`. */
export function encodeFrame(kind: number, payload: Uint8Array): Buffer {
  return Buffer.concat([encodeHeader(kind, payload.length), payload]);
}

/** A `J` frame around `message`, in ASCII. */
export function encodeMessage(message: object): Buffer {
  const text = toAscii(JSON.stringify(message));
  const frame = Buffer.allocUnsafe(HEADER_BYTES + text.length);
  frame.writeUInt32LE(text.length + 1, 0);
  frame[4] = FrameKind.json;
  frame.write(text, HEADER_BYTES, "latin1");
  return frame;
}

const beyondAscii = /[\u0080-\uffff]/g;

function toAscii(json: string): string {
  return json.replace(beyondAscii, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Cuts a stream of bytes into frames. A frame that is complete in one chunk is not copied. A longer one is collected in a buffer that
 * doubles up to the announced length, so that every byte is copied only a few times and an announced length alone reserves no memory.
 * A piece of a blob is delivered in parts as they arrive, without a copy: only the order of a blob's bytes matters, and its empty end.
 */
export class FrameParser {
  readonly #onFrame: (kind: number, payload: Buffer) => void;
  /** The longest payload of a `J` frame. It is small until the sender has sent a valid token. */
  maxJsonBytes: number;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #length = -1;
  #kind = 0;
  #body: Buffer = Buffer.alloc(0);
  #bodyFilled = 0;
  #isStopped = false;

  constructor(onFrame: (kind: number, payload: Buffer) => void, maxJsonBytes: number = MAX_JSON_BYTES) {
    this.#onFrame = onFrame;
    this.maxJsonBytes = maxJsonBytes;
  }

  /** Delivers no more frames, not even the rest of the present chunk. */
  stop(): void {
    this.#isStopped = true;
  }

  /** True while a frame has begun and not ended. */
  get isInFrame(): boolean {
    return this.#headerFilled > 0;
  }

  /** @throws ChannelViolation for an unknown kind or a frame that is too long. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#isStopped) {
      if (this.#headerFilled < HEADER_BYTES) {
        const end = Math.min(chunk.length, at + HEADER_BYTES - this.#headerFilled);
        this.#headerFilled += chunk.copy(this.#header, this.#headerFilled, at, end);
        at = end;
        if (this.#headerFilled < HEADER_BYTES) return;
        this.#readHeader();
        if (this.#length > 0 && at === chunk.length) return;
      }
      at = this.#takeBody(chunk, at);
    }
  }

  #readHeader(): void {
    const length = this.#header.readUInt32LE(0) - 1;
    const kind = this.#header[4] ?? 0;
    if (length < 0 || length > this.#maxLength(kind)) {
      throw new ChannelViolation(`a frame of kind ${kind} announces ${length} bytes`);
    }
    this.#length = length;
    this.#kind = kind;
    this.#bodyFilled = 0;
  }

  #maxLength(kind: number): number {
    if (kind === FrameKind.json) return this.maxJsonBytes;
    if (kind === FrameKind.output) return MAX_PIECE_BYTES + OUTPUT_HEADER_BYTES;
    if (kind === FrameKind.blob) return MAX_PIECE_BYTES;
    return -1;
  }

  #takeBody(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#length - this.#bodyFilled);
    if (this.#kind === FrameKind.blob) {
      this.#bodyFilled += end - at;
      if (this.#bodyFilled === this.#length) this.#headerFilled = 0;
      this.#onFrame(this.#kind, chunk.subarray(at, end));
      return end;
    }
    if (this.#bodyFilled === 0 && end - at === this.#length) {
      this.#deliver(chunk.subarray(at, end));
      return end;
    }
    this.#reserve(this.#bodyFilled + end - at);
    this.#bodyFilled += chunk.copy(this.#body, this.#bodyFilled, at, end);
    if (this.#bodyFilled === this.#length) {
      const body = this.#body.subarray(0, this.#length);
      this.#body = Buffer.alloc(0);
      this.#deliver(body);
    }
    return end;
  }

  #reserve(needed: number): void {
    if (this.#body.length >= needed) return;
    const capacity = Math.min(
      this.#length,
      Math.max(needed, this.#body.length * 2, MAX_PIECE_BYTES + OUTPUT_HEADER_BYTES),
    );
    const grown = Buffer.allocUnsafe(capacity);
    this.#body.copy(grown, 0, 0, this.#bodyFilled);
    this.#body = grown;
  }

  #deliver(payload: Buffer): void {
    this.#headerFilled = 0;
    this.#onFrame(this.#kind, payload);
  }
}
