/** Owns the tree of `pyrepl3`'s commands. */
import { Command } from "commander";
import metadata from "../../package.json" with { type: "json" };
import { addCheckpointCommands } from "./checkpoint-commands.ts";
import { addExecutionCommands } from "./execution-commands.ts";
import { addFileCommands } from "./file-commands.ts";
import { addReplCommand } from "./repl-command.ts";
import { addRunCommand } from "./run-command.ts";
import { addServeCommand } from "./serve-command.ts";
import { addSessionCommands } from "./session-commands.ts";
import { addTokenCommand } from "./token-command.ts";

export function createProgram(): Command {
  const program = new Command("pyrepl3")
    .description("Runs Python in a session of a PyREPL3 service, or the service itself.")
    .version(metadata.version)
    .exitOverride()
    .showHelpAfterError("(pyrepl3 --help tells more)");
  addRunCommand(program);
  addReplCommand(program);
  addSessionCommands(program);
  addCheckpointCommands(program);
  addExecutionCommands(program);
  addFileCommands(program);
  addTokenCommand(program);
  addServeCommand(program);
  return program;
}
