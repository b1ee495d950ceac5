/** Ends the program when the reader of its output has left, as it ends any other program of a pipe. */
import { EXIT_CODES } from "./exit-code.ts";

/** Listens to the errors of a stream. */
export function exitAtBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(EXIT_CODES.brokenPipe);
}
