/** Owns `pyrepl3 repl`: a Python prompt on a remote session. */
import type { Command } from "commander";
import { Repl } from "./repl.ts";
import { addSessionOptions, type SessionOptions, withClient } from "./session-options.ts";

export function addReplCommand(program: Command): void {
  const command = program
    .command("repl")
    .description("a Python prompt: Tab completes, Ctrl-C interrupts, Ctrl-D leaves, %help lists the commands");
  addSessionOptions(command).action((options: SessionOptions) =>
    withClient(options, async (client) => {
      const repl = await Repl.open(client);
      await repl.run();
    }),
  );
}
