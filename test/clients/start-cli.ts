/** Starts the command line as a script does, through pipes, and collects what it prints. */
import { spawn } from "node:child_process";

const MAIN = "src/cli/main.ts";
const SEEN_TIMEOUT_MS = 20_000;

export interface Cli {
  readonly stdout: string;
  readonly stderr: string;
  write(text: string): void;
  /** Ends standard input. */
  end(): void;
  interrupt(): void;
  /** Resolves once `text` is on stdout, after what an earlier call has seen. */
  see(text: string): Promise<void>;
  /** Resolves once so many characters are on stdout. */
  seeChars(count: number): Promise<void>;
  ended: Promise<number | null>;
}

interface StartOptions {
  env?: Record<string, string>;
}

export function startCli(args: readonly string[], { env = {} }: StartOptions = {}): Cli {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env } });
  const printed = { stdout: "", stderr: "" };
  let seen = 0;
  let notice: () => void = () => undefined;
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    printed.stdout += piece;
    notice();
  });
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    printed.stderr += piece;
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  function until(what: string, isHere: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        reject(new Error(`never saw ${what} in:\n${printed.stdout}\n${printed.stderr}`));
      }, SEEN_TIMEOUT_MS);
      notice = () => {
        if (!isHere()) return;
        clearTimeout(timer);
        notice = () => undefined;
        resolve();
      };
      notice();
    });
  }

  return {
    get stdout() {
      return printed.stdout;
    },
    get stderr() {
      return printed.stderr;
    },
    write: (text) => void child.stdin.write(text),
    end: () => void child.stdin.end(),
    interrupt: () => void child.kill("SIGINT"),
    see: (text) =>
      until(JSON.stringify(text), () => {
        const at = printed.stdout.indexOf(text, seen);
        if (at < 0) return false;
        seen = at + text.length;
        return true;
      }),
    seeChars: (count) => until(`${count} characters`, () => printed.stdout.length >= count),
    ended,
  };
}
