/** Owns the exit codes of `pyrepl3`, and which one an outcome has. */
import type { Outcome } from "../client/outcome.ts";

export const EXIT_CODES = {
  success: 0,
  pythonError: 1,
  usage: 2,
  /** `EX_UNAVAILABLE` of sysexits.h: a call failed, or the runner was lost. */
  unavailable: 69,
  /** As coreutils' `timeout` has it. */
  timeout: 124,
  /** 128 and the number of SIGINT, SIGKILL and SIGPIPE. */
  interrupted: 130,
  killed: 137,
  brokenPipe: 141,
} as const;

/** What `sys.exit(…)` asks for: a number, nothing, or a message that means failure. */
function codeOfSystemExit(message: string): number {
  if (message === "" || message === "None") return EXIT_CODES.success;
  return /^-?\d+$/.test(message) ? Number(message) & 0xff : EXIT_CODES.pythonError;
}

export function exitCodeOf({ error }: Pick<Outcome, "error">): number {
  if (error === null) return EXIT_CODES.success;
  const { reason } = error;
  switch (reason) {
    case "exception":
      return error.type === "SystemExit" ? codeOfSystemExit(error.message) : EXIT_CODES.pythonError;
    case "timeout":
      return EXIT_CODES.timeout;
    case "cancelled":
    case "interrupted":
      return EXIT_CODES.interrupted;
    case "out_of_memory":
    case "process_died":
    case "output_limit":
      return EXIT_CODES.killed;
    case "runner_lost":
      return EXIT_CODES.unavailable;
    default:
      return reason satisfies never;
  }
}
