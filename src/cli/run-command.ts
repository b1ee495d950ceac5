/** Owns `pyrepl3 run`: it runs a file, standard input or one text of code, and ends with the outcome's exit code. */
import { text } from "node:stream/consumers";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { ConnectionState } from "../client/connection.ts";
import type { Run } from "../client/run.ts";
import type { RunEvent } from "../client/wire.ts";
import { exitAtBrokenPipe } from "./broken-pipe.ts";
import { EventPrinter } from "./event-printer.ts";
import { EXIT_CODES, exitCodeOf } from "./exit-code.ts";
import { Figures } from "./figures.ts";
import { followRun } from "./follow-run.ts";
import { LineSource } from "./line-source.ts";
import { LostConnection } from "./lost-connection.ts";
import { readCode } from "./read-code.ts";
import { addSessionOptions, type SessionOptions, withClient } from "./session-options.ts";
import { findGraphics } from "./terminal-graphics.ts";

/** How long the service may take to hear that nobody reads the output. */
const CANCEL_MS = 5000;

interface RunOptions extends SessionOptions {
  code?: string;
  timeout?: number;
  policy: "commit_always" | "rollback_on_failure" | "rollback_always";
  json: boolean;
  figures?: string;
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!(seconds > 0)) throw new InvalidArgumentError("It must be a number of seconds above 0.");
  return seconds;
}

export function addRunCommand(program: Command): void {
  const command = program
    .command("run")
    .description("run a file, standard input (-) or -c CODE; input() reads from the terminal")
    .argument("[file]", "file of Python code; - is standard input")
    .option("-c, --code <code>", "run this code, and print the value of its last expression")
    .option("--timeout <seconds>", "interrupt the code after this many seconds", parseSeconds)
    .addOption(
      new Option("--policy <policy>", "what happens to the session's state")
        .choices(["commit_always", "rollback_on_failure", "rollback_always"])
        .default("commit_always"),
    )
    .option("--figures <folder>", "save figures there")
    .option("--json", "print each event as a line of JSON", false);
  addSessionOptions(command).action(async (file: string | undefined, options: RunOptions) => {
    process.exitCode = await run(file, options, command);
  });
}

async function run(file: string | undefined, options: RunOptions, command: Command): Promise<number> {
  const readsStdin = file === "-" || (file === undefined && options.code === undefined && !process.stdin.isTTY);
  if ((file === undefined) === (options.code === undefined) && !readsStdin) {
    command.error("error: name a file, - for standard input, or give code with -c, and only one of them");
  }
  if (file === "-" && options.code !== undefined) command.error("error: give - or -c, but not both");
  const code = options.code ?? (readsStdin ? await text(process.stdin) : await readCode(file ?? ""));
  const printer = new EventPrinter({
    showsValue: options.code !== undefined,
    figures: new Figures({
      folder: options.figures ?? null,
      protocol: process.stdout.isTTY ? findGraphics(process.env) : null,
    }),
  });
  const connection = new LostConnection((note) => void printer.note(note));
  const onConnection = (state: ConnectionState) => connection.take(state);
  return withClient({ ...options, onConnection }, async (client) => {
    const { timeout, policy, json } = options;
    const started = client.run(code, { policy, keepOutput: false, ...(timeout === undefined ? {} : { timeout }) });
    let interrupts = 0;
    const interrupt = () => {
      interrupts += 1;
      if (interrupts > 1 || connection.isLost) process.exit(EXIT_CODES.interrupted);
      void client.interrupt().catch(() => undefined);
    };
    const lines = readsStdin ? null : new LineSource({ onInterrupt: interrupt });
    process.on("SIGINT", interrupt);
    const print = (event: RunEvent) =>
      json ? printer.output.write("stdout", `${JSON.stringify(event)}\n`) : printer.print(event);
    let leaving: Promise<void> | null = null;
    process.stdout.off("error", exitAtBrokenPipe).once("error", (error) => {
      leaving = cancelAndExit(started, error);
    });
    try {
      const takeOpenLine = () => printer.output.takeOpenLine();
      return exitCodeOf(await followRun(started, { print, lines, takeOpenLine, showsPrompts: !json }));
    } finally {
      // A write that failed ends the loop above; the client stays open until the service has heard of it.
      await leaving;
      process.off("SIGINT", interrupt);
      lines?.close();
    }
  });
}

/** Ends the program with the code, as a program of a pipe ends if nobody reads its output any more. */
async function cancelAndExit(run: Run, error: NodeJS.ErrnoException): Promise<void> {
  process.stdout.on("error", () => undefined);
  const deadline = new Promise((resolve) => setTimeout(resolve, CANCEL_MS));
  await Promise.race([run.cancel().catch(() => undefined), deadline]);
  exitAtBrokenPipe(error);
}
