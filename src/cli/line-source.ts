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
  readonly #options: LineSourceOptions;
  readonly #output = new EchoedOutput();
  #history: string[];
  #readline: Interface;
  readonly #lines: string[] = [];
  #wanted: ((line: string | null) => void) | null = null;
  #isAtEnd = false;

  constructor(options: LineSourceOptions) {
    this.#options = options;
    this.#history = options.history ?? [];
    this.#readline = this.#open();
  }

  /**
   * The next line; null at the end of the input, or once `signal` aborts.
   *
   * @param typed what stands in the line already, unless the user was quicker.
   */
  async next(prompt: string, { signal, isSecret = false, typed = "" }: NextLine = {}): Promise<string | null> {
    if (!this.isTerminal) process.stdout.write(prompt);
    const waiting = this.#lines.shift();
    if (waiting !== undefined) return waiting;
    if (this.#isAtEnd || signal?.aborted) return null;
    const abort = () => this.giveUp(null);
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

  /** Throws away what the user has typed of the line, which stays on the screen, and ends the wait for it with `line`. */
  giveUp(line: string | null): void {
    if (this.isTerminal) {
      const wasMuted = this.#output.isMuted;
      this.#output.isMuted = true;
      this.#readline.write(null, { ctrl: true, name: "e" });
      this.#readline.write(null, { ctrl: true, name: "u" });
      this.#output.isMuted = wasMuted;
      if (this.#wanted !== null && !wasMuted) process.stdout.write("\n");
    }
    this.#settle(line);
  }

  close(): void {
    this.#isAtEnd = true;
    this.#readline.close();
  }

  #open(): Interface {
    const { onInterrupt, onHistory, ...options } = this.#options;
    const terminal = this.isTerminal;
    const readline = createInterface({
      ...options,
      history: this.#history,
      input: process.stdin,
      terminal,
      ...(terminal ? { output: this.#output } : {}),
    });
    readline.on("line", (line) => this.#take(line));
    readline.on("close", () => this.#end());
    readline.on("SIGINT", onInterrupt);
    readline.on("history", (lines: string[]) => {
      onHistory?.(lines);
      this.#history = [...lines];
    });
    return readline;
  }

  #show(prompt: string, isSecret: boolean, typed: string): void {
    if (!this.isTerminal) return;
    this.#readline.setPrompt(prompt);
    // What the user has typed ahead stays.
    this.#readline.prompt(true);
    if (typed !== "" && this.#readline.line === "") this.#readline.write(typed);
    this.#output.isMuted = isSecret;
  }

  #take(line: string): void {
    if (!this.#settle(line)) this.#lines.push(line);
  }

  /** Ctrl-D at a terminal answers one question; any other input is over. */
  #end(): void {
    if (this.isTerminal && this.#wanted !== null && !this.#isAtEnd) {
      process.stdout.write("\n");
      this.#readline = this.#open();
    } else this.#isAtEnd = true;
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
