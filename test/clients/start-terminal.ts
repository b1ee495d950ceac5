/** Starts the command line in a pseudo-terminal and keeps its screen, as a terminal emulator draws it. */
import { spawn } from "node:child_process";
import xterm from "@xterm/headless";

const MAIN = "src/cli/main.ts";
const SHOWN_TIMEOUT_MS = 30_000;
const COLUMNS = 100;
const ROWS = 40;

export interface Terminal {
  /** Types keys. */
  type(keys: string): void;
  /** Resolves once the last rows of the screen are these, without spaces at their ends and empty rows below. */
  endsWith(...rows: string[]): Promise<void>;
  /** The rows of the screen and those that have left it, without spaces at their ends and empty rows below. */
  rows(): string[];
  /** Everything that the program wrote, escape sequences included. */
  written(): string;
  /** Resolves with the exit code. */
  ended: Promise<number | null>;
}

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

export function startTerminal(args: readonly string[], env: Record<string, string>): Terminal {
  const command = [process.execPath, MAIN, ...args].map(quoted).join(" ");
  const sized = `stty cols ${COLUMNS} rows ${ROWS}; exec ${command}`;
  const child = spawn("script", ["-qfec", sized, "/dev/null"], {
    env: { ...process.env, TERM: "xterm", NO_COLOR: "1", TMUX: "", STY: "", ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const screen = new xterm.Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true });
  child.stdin.on("error", () => undefined);
  screen.onData((answer) => child.stdin.write(answer));
  let written = "";
  let drawn: () => void = () => undefined;
  child.stdout.on("data", (piece: Buffer) => {
    written += piece.toString("latin1");
    screen.write(piece, () => drawn());
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));

  function rows(): string[] {
    const { active } = screen.buffer;
    const all = Array.from({ length: active.length }, (_, row) => active.getLine(row)?.translateToString(true) ?? "");
    return all.slice(0, all.findLastIndex((row) => row.trimEnd() !== "") + 1).map((row) => row.trimEnd());
  }

  return {
    type: (keys) => void (child.stdin.writable && child.stdin.write(keys)),
    rows,
    written: () => written,
    ended,
    endsWith: (...wanted) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          child.kill();
          reject(new Error(`the screen does not end with ${JSON.stringify(wanted)}:\n${rows().join("\n")}`));
        }, SHOWN_TIMEOUT_MS);
        drawn = () => {
          const last = rows().slice(-wanted.length);
          if (last.length !== wanted.length || last.some((row, index) => row !== wanted[index])) return;
          clearTimeout(timer);
          drawn = () => undefined;
          resolve();
        };
        drawn();
      }),
  };
}
