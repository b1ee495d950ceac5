#!/usr/bin/env node
/** What `pyrepl3` runs: it reads the arguments, starts the command, and turns what goes wrong into one line and an exit code. */
import { CommanderError } from "commander";
import { ClientError } from "../client/client-error.ts";
import { exitAtBrokenPipe } from "./broken-pipe.ts";
import { describeError } from "./describe-error.ts";
import { EXIT_CODES } from "./exit-code.ts";
import { createProgram } from "./program.ts";

for (const stream of [process.stdout, process.stderr]) stream.on("error", exitAtBrokenPipe);

try {
  await createProgram().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed its message.
    process.exitCode = error.exitCode === 0 ? EXIT_CODES.success : EXIT_CODES.usage;
  } else if (error instanceof ClientError) {
    console.error(`pyrepl3: ${describeError(error)}`);
    process.exitCode = EXIT_CODES.unavailable;
  } else {
    console.error(`pyrepl3: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = EXIT_CODES.usage;
  }
}
