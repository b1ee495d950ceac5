/** Owns `pyrepl3 repl`: a Python prompt on a remote session. */
import type { Command } from "commander";
import { Figures } from "./figures.ts";
import { Repl } from "./repl.ts";
import { addSessionOptions, type SessionOptions, withClient } from "./session-options.ts";
import { statePath } from "./state-path.ts";
import { findGraphics } from "./terminal-graphics.ts";

export function addReplCommand(program: Command): void {
  const command = program
    .command("repl")
    .description("a Python prompt: Tab completes, Ctrl-C interrupts, Ctrl-D leaves, %help lists the commands")
    .option("--figures <folder>", "where figures are saved", statePath("figures"));
  addSessionOptions(command).action(async (options: SessionOptions & { figures: string }) => {
    const protocol = process.stdout.isTTY ? findGraphics(process.env) : null;
    const figures = new Figures({ folder: options.figures, protocol });
    let repl: Repl | null = null;
    process.exitCode = await withClient(
      { ...options, onConnection: (state) => repl?.takeConnection(state) },
      async (client) => {
        repl = await Repl.open({ client, figures });
        return repl.run();
      },
    );
  });
}
