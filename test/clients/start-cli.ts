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
  child.stdout.on("data", (piece: Buffer) => {
    printed.stdout += piece.toString();
    notice();
  });
  child.stderr.on("data", (piece: Buffer) => {
    printed.stderr += piece.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
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
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          child.kill("SIGKILL");
          reject(new Error(`never saw ${JSON.stringify(text)} in:\n${printed.stdout}\n${printed.stderr}`));
        }, SEEN_TIMEOUT_MS);
        notice = () => {
          const at = printed.stdout.indexOf(text, seen);
          if (at < 0) return;
          seen = at + text.length;
          clearTimeout(timer);
          resolve();
        };
        notice();
      }),
    ended,
  };
}
