/** Owns the prompt: it reads lines until they form complete code, runs it, and prints its events. */
import type { Client } from "../client/client.ts";
import { ClientError } from "../client/client-error.ts";
import type { ConnectionState } from "../client/connection.ts";
import { describeError } from "./describe-error.ts";
import { EventPrinter } from "./event-printer.ts";
import { EXIT_CODES, exitCodeOf } from "./exit-code.ts";
import type { Figures } from "./figures.ts";
import { followRun } from "./follow-run.ts";
import { MAX_HISTORY_LINES, readHistory, writeHistory } from "./history-file.ts";
import { LineSource } from "./line-source.ts";
import { LostConnection } from "./lost-connection.ts";
import { completeReplCommand, findReplCommand } from "./repl-commands.ts";

const FIRST_PROMPT = ">>> ";
const NEXT_PROMPT = "... ";

/** What Ctrl-C is about: a program that has not begun, a line, or what runs. */
type Phase = "opening" | "reading" | "running";

export interface ReplOptions {
  client: Client;
  figures: Figures;
}

export class Repl {
  readonly #lines: LineSource;
  readonly #printer: EventPrinter;
  #client: Client;
  /** Of the session that `%session` opened. */
  #opened: Client | null = null;
  #history: string[];
  /** Of the piece of code that is not whole yet. */
  #pending: string[] = [];
  #phase: Phase = "opening";
  #isDiscarded = false;
  readonly #connection = new LostConnection((text) => {
    if (this.#phase === "running") void this.#printer.note(text);
  });

  private constructor({ client, figures }: ReplOptions, history: string[]) {
    this.#client = client;
    this.#printer = new EventPrinter({ showsValue: true, figures });
    this.#history = history;
    this.#lines = new LineSource({
      history: [...history],
      historySize: MAX_HISTORY_LINES,
      completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
        void this.#complete(line).then((result) => done(null, result));
      },
      onInterrupt: () => this.#interrupt(),
      onHistory: (lines) => {
        // What answers input() or getpass() is no code, and may be secret.
        if (this.#phase === "running") lines.splice(0, lines.length, ...this.#history);
        else this.#history = [...lines];
      },
    });
  }

  static async open(options: ReplOptions): Promise<Repl> {
    return new Repl(options, await readHistory());
  }

  /** @returns the exit code, at the end of the input or after `exit()`. */
  async run(): Promise<number> {
    try {
      if (this.#lines.isTerminal) await this.#greet();
      for (;;) {
        const code = await this.#read();
        if (code === null) return EXIT_CODES.success;
        const exitCode = await this.#execute(code);
        if (exitCode !== null) return exitCode;
      }
    } finally {
      if (this.#lines.isTerminal) await writeHistory(this.#history);
      this.#lines.close();
      this.#opened?.close();
    }
  }

  /** The client's connection has another state. */
  takeConnection(state: ConnectionState): void {
    this.#connection.take(state);
  }

  async #greet(): Promise<void> {
    const { python } = await this.#client.capabilities();
    const { session, clientId } = this.#client;
    console.log(`Python ${python.version}, session ${session} of ${clientId}. %help lists the commands.`);
  }

  /** A whole piece of code; empty if the user gave up on it; null at the end of the input. */
  async #read(): Promise<string | null> {
    const { isTerminal } = this.#lines;
    this.#phase = "reading";
    this.#pending = [];
    this.#isDiscarded = false;
    if (isTerminal && this.#printer.output.takeOpenLine() !== "") process.stdout.write("\n");
    let indent = "";
    for (;;) {
      const prompt = this.#pending.length === 0 ? FIRST_PROMPT : NEXT_PROMPT;
      const line = await this.#lines.next(isTerminal ? prompt : "", isTerminal ? { typed: indent } : {});
      if (this.#isDiscarded) return "";
      if (line === null) return this.#pending.length === 0 ? null : this.#pending.join("\n");
      this.#pending.push(line.trim() === "" ? "" : line);
      const next = await this.#nextIndent();
      if (this.#isDiscarded) return "";
      if (next === null) return this.#pending.join("\n");
      indent = next;
    }
  }

  /** What the next line begins with; null if the code is whole. */
  async #nextIndent(): Promise<string | null> {
    const [first = ""] = this.#pending;
    const code = this.#pending.join("\n");
    if (code.trim() === "" || findReplCommand(code) !== null) return null;
    // A cell's magic takes the lines below it, which an empty line ends.
    if (first.startsWith("%%")) return this.#pending.at(-1) === "" ? null : "";
    try {
      const answer = await this.#client.isComplete(code);
      return answer.status === "incomplete" ? (answer.indent ?? "") : null;
    } catch (error) {
      // Running it fails too, and says why.
      if (error instanceof ClientError) return null;
      throw error;
    }
  }

  /** @returns the exit code if the code asked for the end. */
  async #execute(code: string): Promise<number | null> {
    if (code.trim() === "") return null;
    this.#phase = "running";
    try {
      const command = findReplCommand(code);
      if (command !== null) {
        await command({ client: this.#client, moveTo: (session) => this.#moveTo(session) });
        return null;
      }
      const outcome = await followRun(this.#client.run(code, { keepOutput: false }), {
        print: (event) => this.#printer.print(event),
        takeOpenLine: () => this.#printer.output.takeOpenLine(),
        lines: this.#lines,
      });
      return outcome.error?.type === "SystemExit" ? exitCodeOf(outcome) : null;
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      await this.#printer.note(describeError(error));
      return null;
    }
  }

  #moveTo(session: string): void {
    const client = this.#client.openSession(session);
    this.#opened?.close();
    this.#opened = client;
    this.#client = client;
  }

  async #complete(line: string): Promise<[string[], string]> {
    // Tab at the beginning of a line indents it.
    if (line.trim() === "") return [[`${line}    `], line];
    if (/^%\w*$/.test(line)) return [completeReplCommand(line), line];
    // The lines above may bind names, and a position counts from their beginning.
    const code = [...(this.#phase === "reading" ? this.#pending : []), line].join("\n");
    try {
      const { matches, cursor_start: start, cursor_end: end } = await this.#client.complete(code);
      return [matches, code.slice(start, end)];
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return [[], line];
    }
  }

  #interrupt(): void {
    switch (this.#phase) {
      case "opening":
        process.exit(EXIT_CODES.interrupted);
        break;
      case "reading":
        this.#isDiscarded = true;
        this.#lines.giveUp("");
        process.stdout.write("KeyboardInterrupt\n");
        break;
      case "running":
        // Nobody can be told to interrupt the code, which goes on in its session.
        if (this.#connection.isLost) process.exit(EXIT_CODES.interrupted);
        void this.#client.interrupt().catch((error: unknown) => this.#printer.note(String(error)));
        break;
      default:
        this.#phase satisfies never;
    }
  }
}
