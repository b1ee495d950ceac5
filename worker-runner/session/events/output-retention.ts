/** Owns leaving out the middle of output that nobody keeps: its beginning is published at once, its end with the next question or ending. */
import type { StreamName } from "../../interpreter/output-cursor.ts";

/** How much of one execution's output is of use to the edge; null: all of it. */
export type KeptOutput = { headBytes: number; tailBytes: number } | null;

/** Text as bytes, which the garbage collector need not look at, or a display that is built when it is published. */
type Held =
  | { kind: "text"; stream: StreamName; pieces: Buffer[]; bytes: number }
  | { kind: "display"; publish: () => void; bytes: number };

export interface OutputPublisher {
  publishText(text: string, stream: StreamName): void;
  /** Called before the end of the output, if something was left out. */
  publishDropped(droppedBytes: number): void;
}

/** All held output of this process together. Past it, each session holds only a little. */
const MAX_TOTAL_BYTES = 256 * 1024 * 1024;
const SMALL_TAIL_BYTES = 1024 * 1024;
/** The most held pieces of one execution. */
const MAX_HELD = 4_096;
/** Short pieces are joined up to this size. */
const JOINED_BYTES = 64 * 1024;

/** Held output that is published in one turn of the event loop. */
const SLICE_BYTES = 1024 * 1024;
const SLICE_HELD = 256;

let totalBytes = 0;

export class OutputRetention {
  readonly #publisher: OutputPublisher;
  #publishedBytes = 0;
  #tail: (Held | undefined)[] = [];
  /** The index of the oldest held output. */
  #first = 0;
  #tailBytes = 0;
  #droppedBytes = 0;

  constructor(publisher: OutputPublisher) {
    this.#publisher = publisher;
  }

  addText(kept: KeptOutput, text: string, stream: StreamName): void {
    if (kept === null) {
      this.#notePublished(text.length);
      this.#publisher.publishText(text, stream);
      return;
    }
    const piece = Buffer.from(text);
    if (this.#isHead(kept, piece.length)) {
      this.#publisher.publishText(text, stream);
      return;
    }
    const last = this.#tail.at(-1);
    if (last?.kind === "text" && last.stream === stream && last.bytes + piece.length <= JOINED_BYTES) {
      last.pieces.push(piece);
      last.bytes += piece.length;
      this.#count(kept, piece.length);
    } else {
      this.#hold(kept, { kind: "text", stream, pieces: [piece], bytes: piece.length });
    }
  }

  /** @param bytes of its frame: unlike text, displays cannot be joined, so the frame around each one counts. */
  addDisplay(kept: KeptOutput, bytes: number, publish: () => void): void {
    if (kept === null) this.#notePublished(bytes);
    if (kept === null || this.#isHead(kept, bytes)) publish();
    else this.#hold(kept, { kind: "display", publish, bytes });
  }

  /** True if publishing all held output at once would make other sessions wait. */
  get holdsMuch(): boolean {
    return this.#tailBytes > SLICE_BYTES || this.#tail.length - this.#first > SLICE_HELD;
  }

  /** Publishes the held output. */
  release(): void {
    while (this.#tail.length > 0) this.releaseSlice();
  }

  /** Publishes a part of the held output. @returns false if none is left. */
  releaseSlice(): boolean {
    if (this.#tail.length === 0) return false;
    if (this.#droppedBytes > 0) this.#publisher.publishDropped(this.#droppedBytes);
    this.#droppedBytes = 0;
    let bytes = 0;
    for (let count = 0; count < SLICE_HELD && bytes < SLICE_BYTES; count += 1) {
      const held = this.#takeOldest();
      if (held === undefined) {
        this.#tail = [];
        this.#first = 0;
        return false;
      }
      bytes += held.bytes;
      this.#publishedBytes += held.bytes;
      if (held.kind === "display") held.publish();
      else this.#publisher.publishText(Buffer.concat(held.pieces).toString(), held.stream);
    }
    return true;
  }

  /** All output is of use. Held output goes first. */
  #notePublished(bytes: number): void {
    if (this.#tail.length > 0) this.release();
    this.#publishedBytes += bytes;
  }

  /** Whether output belongs to the beginning. Counts it if so. */
  #isHead(kept: NonNullable<KeptOutput>, bytes: number): boolean {
    if (this.#tail.length > 0 || this.#publishedBytes + bytes > kept.headBytes) return false;
    this.#publishedBytes += bytes;
    return true;
  }

  #hold(kept: NonNullable<KeptOutput>, held: Held): void {
    this.#tail.push(held);
    this.#count(kept, held.bytes);
    if (this.#first > MAX_HELD) {
      this.#tail.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** Counts held bytes, and drops the oldest output if it is too much. */
  #count({ tailBytes }: NonNullable<KeptOutput>, bytes: number): void {
    this.#tailBytes += bytes;
    totalBytes += bytes;
    const limit = totalBytes > MAX_TOTAL_BYTES ? Math.min(tailBytes, SMALL_TAIL_BYTES) : tailBytes;
    while (this.#tailBytes > limit || this.#tail.length - this.#first > MAX_HELD) {
      this.#droppedBytes += this.#takeOldest()?.bytes ?? 0;
    }
  }

  #takeOldest(): Held | undefined {
    const oldest = this.#tail[this.#first];
    if (oldest === undefined) return undefined;
    this.#tail[this.#first] = undefined;
    this.#first += 1;
    this.#tailBytes -= oldest.bytes;
    totalBytes -= oldest.bytes;
    return oldest;
  }
}
