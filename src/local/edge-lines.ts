/** Owns workerd's log lines: it reads them, and decides which are shown. */
import { z } from "zod";
import type { Logger } from "./log.ts";

const Line = z.object({ level: z.string(), message: z.string() });
type Line = z.infer<typeof Line>;

/** workerd's own remarks on its stack traces, which nobody can act on. */
const NOISE = /\$LLVM_SYMBOLIZER is not set|took recursive isolate lock/;

/** The edge's log lines. They are held until it is known whether they report a wrong setting, which is shown as one line instead. */
export class EdgeLines {
  readonly #log: Logger;
  #held: Line[] | null = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param text one line that workerd printed: JSON, or anything if workerd itself fails. */
  take(text: string): void {
    if (text.trim() === "") return;
    const line = parseLine(text);
    if (this.#held !== null) this.#held.push(line);
    else this.#write(line);
  }

  /** The text that the pattern's group matches in a held line. */
  find(pattern: RegExp): string | null {
    for (const { message } of this.#held ?? []) {
      const found = pattern.exec(message)?.[1];
      if (found !== undefined) return found;
    }
    return null;
  }

  /** Forgets the held lines: they are reported in another way. */
  drop(): void {
    this.#held = null;
  }

  /** Shows the held lines; later ones are shown at once. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const line of held) this.#write(line);
  }

  #write(line: Line): void {
    if (!NOISE.test(line.message)) this.#log[logLevel(line)](line.message);
  }
}

function parseLine(text: string): Line {
  try {
    const parsed = Line.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { level: "warn", message: text };
}

function logLevel({ level, message }: Line): "debug" | "info" | "warn" | "error" {
  // workerd reports clients that disconnect in the middle of a request, which they may do.
  if (/^kj::.*: disconnected: /.test(message)) return "debug";
  if (level === "error" || level === "warn" || level === "debug") return level;
  return "info";
}
