/** Owns `pyrepl3 run`: it runs a file, standard input or one text of code, and ends with the outcome's exit code. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { RunEvent } from "../client/wire.ts";
import { EventPrinter } from "./event-printer.ts";
import { EXIT_CODES, exitCodeOf } from "./exit-code.ts";
import { Figures } from "./figures.ts";
import { followRun } from "./follow-run.ts";
import { LineSource } from "./line-source.ts";
import { addSessionOptions, type SessionOptions, withClient } from "./session-options.ts";
import { findGraphics } from "./terminal-graphics.ts";

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
  const code = options.code ?? (readsStdin ? await text(process.stdin) : await readFile(file ?? "", "utf8"));
  return withClient(options, async (client) => {
    const { timeout, policy, json } = options;
    let interrupts = 0;
    const interrupt = () => {
      interrupts += 1;
      if (interrupts > 1) process.exit(EXIT_CODES.interrupted);
      void client.interrupt().catch(() => undefined);
    };
    const started = client.run(code, { policy, keepOutput: false, ...(timeout === undefined ? {} : { timeout }) });
    const lines = readsStdin ? null : new LineSource({ onInterrupt: interrupt });
    process.on("SIGINT", interrupt);
    const printer = new EventPrinter({
      showsValue: options.code !== undefined,
      figures: new Figures({
        folder: options.figures ?? null,
        protocol: process.stdout.isTTY ? findGraphics(process.env) : null,
      }),
    });
    const print = (event: RunEvent) =>
      json ? printer.output.write("stdout", `${JSON.stringify(event)}\n`) : printer.print(event);
    try {
      return exitCodeOf(
        await followRun(started, {
          print,
          lines,
          takeOpenLine: () => printer.output.takeOpenLine(),
          showsPrompts: !json,
        }),
      );
    } finally {
      process.off("SIGINT", interrupt);
      lines?.close();
    }
  });
}
