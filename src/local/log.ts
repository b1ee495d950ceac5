/** Owns the one log of `npm start`: its own lines, the edge's and the runners', all in one format. */
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { type Logger, pino } from "pino";
import { PinoPretty } from "pino-pretty";
import type { StartSettings } from "./settings.ts";

export type { Logger } from "pino";

export interface StartLog {
  /** A log whose lines carry `name`. */
  named(name: string): Logger;
  /** Takes over a child's output: its log lines as they are, anything else as a line under `name`. */
  adopt(stream: Readable, name: string): void;
}

/** The log that the settings ask for: readable unless JSON is asked for. */
export function createStartLog(settings: Pick<StartSettings, "LOG_FORMAT">, level: string): StartLog {
  const isJson = settings.LOG_FORMAT === "json";
  const target = isJson
    ? process.stdout
    : PinoPretty({
        ignore: "pid,hostname",
        translateTime: "SYS:HH:MM:ss.l",
        colorize: process.stdout.isTTY,
        singleLine: true,
        sync: true,
      });
  const base = pino({ base: {}, level: level === "silent" ? "silent" : "trace" }, target);
  const named = (name: string) => base.child({ name }, { level });
  return {
    named,
    adopt(stream, name) {
      const log = named(name);
      createInterface(stream).on("line", (line) => {
        if (line.startsWith('{"level":')) target.write(`${line}\n`);
        else if (line.trim() !== "") log.warn(line);
      });
    },
  };
}
