/** Owns one process's connection: frames in, messages out, backpressure both ways; a violation of the framing ends it. */
import type { Socket } from "node:net";
import { ChannelViolation, encodeFrame, encodeMessage, FrameKind, FrameParser, MAX_JSON_BYTES } from "./framing.ts";
import type { RunnerMessage } from "./message.ts";

export type FrameListener = (kind: number, payload: Buffer) => void;

/** What one chunk may cost before its sender has to wait, and for how many times as long: others have a right to the event loop. */
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
  #penance: NodeJS.Timeout | null = null;

  constructor(socket: Socket, maxJsonBytes: number, onFrame: FrameListener, onEnd: (cause: Error | null) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    this.#onEnd = onEnd;
    this.#parser = new FrameParser((kind, payload) => this.#onFrame(kind, payload), maxJsonBytes);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    // A reset is how a killed process's connection ends; the cause that counts is the violation, if any.
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    socket.on("close", () => this.#end());
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Hands the connection over to whoever owns its process.
   *
   * @param maxJsonBytes what the process may have to say at once: a frame that is begun and never ended is held in memory.
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

  /** Resolves once the socket takes more; rejects never: an ended connection swallows. */
  async sendPiece(piece: Uint8Array): Promise<void> {
    if (!this.#socket.writable) return;
    if (this.#socket.write(encodeFrame(FrameKind.blob, piece))) return;
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
    if (!this.#penance) this.#socket.resume();
  }

  /** Ends the connection at once; frames that have not been delivered are dropped. */
  destroy(cause: Error | null = null): void {
    this.#cause ??= cause;
    this.#parser.stop();
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    const startedAt = performance.now();
    try {
      this.#parser.push(chunk);
    } catch (error) {
      // Whatever a frame from a sandbox sets off ends its sender, never the runner.
      this.destroy(error instanceof ChannelViolation ? error : new ChannelViolation(`a frame failed: ${error}`));
    }
    const costMs = performance.now() - startedAt;
    if (costMs > FREE_MS && !this.#penance && !this.#socket.destroyed) this.#wait(costMs * WAIT_FACTOR);
  }

  #wait(durationMs: number): void {
    this.#socket.pause();
    this.#penance = setTimeout(() => {
      this.#penance = null;
      if (!this.#isPaused) this.#socket.resume();
    }, durationMs);
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#penance) clearTimeout(this.#penance);
    this.#onEnd(this.#cause);
  }
}
