/** Owns the log: structured lines on standard output. They never contain user code, output, keys or secrets. */
import { type Logger, pino } from "pino";
import { PinoPretty } from "pino-pretty";
import type { RunnerConfig } from "./config.ts";

export type { Logger } from "pino";

/** JSON lines, or readable text if the output is a terminal. */
export function createLog(config: Pick<RunnerConfig, "LOG_LEVEL" | "LOG_FORMAT" | "RUNNER_ID">): Logger {
  const options = { level: config.LOG_LEVEL, base: { name: config.RUNNER_ID } };
  const isPretty = config.LOG_FORMAT === "pretty" || (config.LOG_FORMAT === "auto" && process.stdout.isTTY);
  if (!isPretty) return pino(options);
  return pino(
    options,
    PinoPretty({ ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l", singleLine: true, sync: true }),
  );
}
