/** Starts the command line as a user does, through pipes or in a pseudo-terminal, and collects what it prints. */
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
  /** Runs it in a pseudo-terminal, of which stdout is the screen. */
  inTerminal?: boolean;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

export function startCli(args: readonly string[], { env = {}, inTerminal = false }: StartOptions = {}): Cli {
  const command = [process.execPath, MAIN, ...args];
  const child = inTerminal
    ? spawn("script", ["-qfec", command.map(quoted).join(" "), "/dev/null"], { env: { ...process.env, ...env } })
    : spawn(process.execPath, command.slice(1), { env: { ...process.env, ...env } });
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
