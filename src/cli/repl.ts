/** Owns the prompt: it reads lines until they are a whole piece of code, runs it, and prints what comes. */
import type { Client } from "../client/client.ts";
import { ClientError } from "../client/client-error.ts";
import { printEvent } from "./event-printer.ts";
import { followRun } from "./follow-run.ts";
import { MAX_HISTORY_LINES, readHistory, writeHistory } from "./history-file.ts";
import { LineSource } from "./line-source.ts";
import { runReplCommand } from "./repl-commands.ts";

const FIRST_PROMPT = ">>> ";
const NEXT_PROMPT = "... ";

export class Repl {
  readonly #client: Client;
  readonly #lines: LineSource;
  #history: string[];
  #isRunning = false;
  #isDiscarded = false;

  private constructor(client: Client, history: string[]) {
    this.#client = client;
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
        if (this.#isRunning) lines.splice(0, lines.length, ...this.#history);
        else this.#history = [...lines];
      },
    });
  }

  static async open(client: Client): Promise<Repl> {
    return new Repl(client, await readHistory());
  }

  /** Returns at the end of the input. */
  async run(): Promise<void> {
    try {
      if (this.#lines.isTerminal) await this.#greet();
      for (;;) {
        const code = await this.#read();
        if (code === null) break;
        await this.#execute(code);
      }
    } finally {
      if (this.#lines.isTerminal) {
        process.stdout.write("\n");
        await writeHistory(this.#history);
      }
      this.#lines.close();
    }
  }

  async #greet(): Promise<void> {
    const { python } = await this.#client.capabilities();
    const { session, clientId } = this.#client;
    console.log(`Python ${python.version}, session ${session} of ${clientId}. %help lists the commands.`);
  }

  /** A whole piece of code; empty where the user gave up on it; null at the end of the input. */
  async #read(): Promise<string | null> {
    const { isTerminal } = this.#lines;
    const lines: string[] = [];
    let indent = "";
    this.#isDiscarded = false;
    for (;;) {
      const prompt = lines.length === 0 ? FIRST_PROMPT : NEXT_PROMPT;
      const line = await this.#lines.next(isTerminal ? prompt : "", isTerminal ? { typed: indent } : {});
      if (this.#isDiscarded) return "";
      if (line === null) return lines.length === 0 ? null : lines.join("\n");
      lines.push(line.trim() === "" ? "" : line);
      const code = lines.join("\n");
      if (code.trim() === "" || code.startsWith("%")) return code;
      const answer = await this.#client.isComplete(code);
      if (answer.status !== "incomplete") return code;
      indent = answer.indent ?? "";
    }
  }

  async #execute(code: string): Promise<void> {
    if (code.trim() === "") return;
    this.#isRunning = true;
    try {
      if (code.startsWith("%")) return await runReplCommand(this.#client, code.slice(1).trim());
      const run = this.#client.run(code, { keepOutput: false });
      await followRun(run, { print: (event) => printEvent(event, true), lines: this.#lines });
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      console.error(`pyrepl3: ${error.message} [${error.code}]`);
    } finally {
      this.#isRunning = false;
    }
  }

  async #complete(line: string): Promise<[string[], string]> {
    // Tab at the beginning of a line indents it.
    if (line.trim() === "") return [[`${line}    `], line];
    try {
      const { matches, cursor_start: start, cursor_end: end } = await this.#client.complete(line);
      return [matches, line.slice(start, end)];
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return [[], line];
    }
  }

  #interrupt(): void {
    if (this.#isRunning) {
      void this.#client.interrupt().catch((error: unknown) => console.error(`pyrepl3: ${error}`));
      return;
    }
    process.stdout.write("\nKeyboardInterrupt\n");
    this.#isDiscarded = true;
    this.#lines.discard();
  }
}
