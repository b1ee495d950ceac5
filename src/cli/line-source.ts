/** Owns the lines that the user types, or that come through a pipe: each is handed out once, in order. */
import { createInterface, type Interface, type ReadLineOptions } from "node:readline";
import { Writable } from "node:stream";

/** The terminal, where what the user types can be kept from showing. */
class EchoedOutput extends Writable {
  isMuted = false;

  get columns(): number {
    return process.stdout.columns;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (!this.isMuted) process.stdout.write(chunk);
    done();
  }
}

export interface LineSourceOptions extends Pick<ReadLineOptions, "completer" | "history" | "historySize"> {
  /** Ctrl-C at the terminal. */
  onInterrupt(): void;
  onHistory?(history: string[]): void;
}

export class LineSource {
  readonly isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  readonly #output = new EchoedOutput();
  readonly #readline: Interface;
  readonly #lines: string[] = [];
  #wanted: ((line: string | null) => void) | null = null;
  #isAtEnd = false;

  constructor({ onInterrupt, onHistory, ...options }: LineSourceOptions) {
    const terminal = this.isTerminal;
    this.#readline = createInterface({
      ...options,
      input: process.stdin,
      terminal,
      ...(terminal ? { output: this.#output } : {}),
    });
    this.#readline.on("line", (line) => this.#take(line));
    this.#readline.on("close", () => this.#end());
    this.#readline.on("SIGINT", onInterrupt);
    if (onHistory !== undefined) this.#readline.on("history", onHistory);
  }

  /**
   * The next line; null at the end of the input, or once `signal` aborts.
   *
   * @param typed what stands in the line already.
   */
  async next(prompt: string, { signal, isSecret = false, typed = "" }: NextLine = {}): Promise<string | null> {
    if (!this.isTerminal) process.stdout.write(prompt);
    const waiting = this.#lines.shift();
    if (waiting !== undefined) return waiting;
    if (this.#isAtEnd || signal?.aborted) return null;
    const abort = () => this.#settle(null);
    signal?.addEventListener("abort", abort);
    const line = new Promise<string | null>((resolve) => {
      this.#wanted = resolve;
    });
    this.#show(prompt, isSecret, typed);
    try {
      return await line;
    } finally {
      signal?.removeEventListener("abort", abort);
      if (isSecret && this.#output.isMuted) {
        this.#output.isMuted = false;
        if (this.isTerminal) process.stdout.write("\n");
      }
    }
  }

  /** Throws away what the user has typed of the line, and ends the wait for it with an empty line. */
  discard(): void {
    this.#readline.write(null, { ctrl: true, name: "e" });
    this.#readline.write(null, { ctrl: true, name: "u" });
    this.#settle("");
  }

  close(): void {
    this.#readline.close();
  }

  #show(prompt: string, isSecret: boolean, typed: string): void {
    if (!this.isTerminal) return;
    this.#readline.setPrompt(prompt);
    this.#readline.prompt();
    if (typed !== "") this.#readline.write(typed);
    this.#output.isMuted = isSecret;
  }

  #take(line: string): void {
    if (!this.#settle(line)) this.#lines.push(line);
  }

  #end(): void {
    this.#isAtEnd = true;
    this.#settle(null);
  }

  #settle(line: string | null): boolean {
    const wanted = this.#wanted;
    this.#wanted = null;
    wanted?.(line);
    return wanted !== null;
  }
}

interface NextLine {
  signal?: AbortSignal;
  /** The line does not show while it is typed. */
  isSecret?: boolean;
  typed?: string;
}
