/** Owns the log: structured lines on standard output, which never carry user code, output, keys or secrets. */
import { type Logger, pino } from "pino";
import { PinoPretty } from "pino-pretty";
import type { RunnerConfig } from "./config.ts";

export type { Logger } from "pino";

/** A log as the settings ask for; readable instead of JSON on a terminal. */
export function createLog(config: Pick<RunnerConfig, "LOG_LEVEL" | "LOG_FORMAT" | "RUNNER_ID">): Logger {
  const options = { level: config.LOG_LEVEL, base: { name: config.RUNNER_ID } };
  const isPretty = config.LOG_FORMAT === "pretty" || (config.LOG_FORMAT === "auto" && process.stdout.isTTY);
  if (!isPretty) return pino(options);
  return pino(
    options,
    PinoPretty({ ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l", singleLine: true, sync: true }),
  );
}
