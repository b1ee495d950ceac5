/** Owns the connection to one process: frames, messages and backpressure in both directions. Invalid framing ends it. */
import type { Socket } from "node:net";
import { ChannelViolation, encodeHeader, encodeMessage, FrameKind, FrameParser, MAX_JSON_BYTES } from "./framing.ts";
import type { RunnerMessage } from "./runner-message.ts";

export type FrameListener = (kind: number, payload: Buffer) => void;

/** A chunk that takes longer than FREE_MS to handle pauses its socket for WAIT_FACTOR times as long, so that one sandbox cannot starve the event loop. */
const FREE_MS = 5;
const WAIT_FACTOR = 3;

export class Connection {
  readonly #socket: Socket;
  readonly #parser: FrameParser;
  #onFrame: FrameListener;
  #onEnd: (cause: Error | null) => void;
  #cause: Error | null = null;
  #isEnded = false;
  #isPaused = false;
  #throttle: NodeJS.Timeout | null = null;
  /** Runs once the connection is to end by itself; each chunk starts it anew. */
  #silence: NodeJS.Timeout | null = null;

  constructor(socket: Socket, maxJsonBytes: number, onFrame: FrameListener, onEnd: (cause: Error | null) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    this.#onEnd = onEnd;
    this.#parser = new FrameParser((kind, payload) => this.#onFrame(kind, payload), maxJsonBytes);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    // The connection of a killed process ends with a reset. It is not an error.
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    socket.on("close", () => this.#end());
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Gives the connection to the object that owns its process.
   *
   * @param maxJsonBytes the longest message that the process may send. A frame that never ends is held in memory up to this length.
   */
  adopt(onFrame: FrameListener, onEnd: (cause: Error | null) => void, maxJsonBytes = MAX_JSON_BYTES): void {
    this.#parser.maxJsonBytes = maxJsonBytes;
    this.#onFrame = onFrame;
    this.#onEnd = onEnd;
    if (this.#isEnded) onEnd(this.#cause);
  }

  send(message: RunnerMessage): void {
    if (this.#socket.writable) this.#socket.write(encodeMessage(message));
  }

  /** Resolves once the socket takes more data. It never rejects: a piece for an ended connection is discarded. */
  async sendPiece(piece: Uint8Array): Promise<void> {
    if (!this.#socket.writable) return;
    // Together in one system call, without a copy of the piece.
    this.#socket.cork();
    this.#socket.write(encodeHeader(FrameKind.blob, piece.length));
    const hasRoom = this.#socket.write(piece);
    this.#socket.uncork();
    if (hasRoom) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.once("drain", done);
      this.#socket.once("close", done);
    });
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.#throttle) this.#socket.resume();
  }

  /** Ends the connection once nothing more has come for `silenceMs`. */
  endWhenSilent(silenceMs: number): void {
    if (this.#isEnded || this.#silence) return;
    const silence = setTimeout(() => {
      // While the socket waits its turn, what has come is not read.
      if (this.#throttle) silence.refresh();
      else this.destroy();
    }, silenceMs);
    this.#silence = silence;
  }

  /** Ends the connection at once. Frames that were not delivered are discarded. */
  destroy(cause: Error | null = null): void {
    this.#cause ??= cause;
    this.#parser.stop();
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const startedAt = performance.now();
    this.#silence?.refresh();
    try {
      this.#parser.push(chunk);
    } catch (error) {
      // An error that a frame from a sandbox causes ends its sender, never the runner.
      this.destroy(error instanceof ChannelViolation ? error : new ChannelViolation(`a frame failed: ${error}`));
    }
    const costMs = performance.now() - startedAt;
    if (costMs > FREE_MS && !this.#throttle && !this.#socket.destroyed) this.#wait(costMs * WAIT_FACTOR);
  }

  #wait(durationMs: number): void {
    this.#socket.pause();
    this.#throttle = setTimeout(() => {
      this.#throttle = null;
      if (!this.#isPaused) this.#socket.resume();
    }, durationMs);
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#throttle) clearTimeout(this.#throttle);
    if (this.#silence) clearTimeout(this.#silence);
    this.#onEnd(this.#cause);
  }
}
