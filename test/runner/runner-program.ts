/** Starts the runner's program with real Python on a free port, and says what it printed and how it ended. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { afterEach } from "vitest";
import { EdgeEnd } from "./service/edge-end.ts";
import { TOKEN } from "./service/service-under-test.ts";

const START_DEADLINE_MS = 45_000;

const DEFAULTS = {
  RUNNER_TOKEN: TOKEN,
  RUNNER_PORT: "0",
  POOL_MIN_IDLE: "1",
  POOL_SKELETONS: "0",
  SHUTDOWN_GRACE_SECONDS: "0",
  LOG_FORMAT: "json",
};

const programs: RunnerProgram[] = [];
afterEach(async () => {
  for (const program of programs.splice(0)) await program.stop();
});

export class RunnerProgram {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly lines: string[] = [];
  url = "";

  private constructor(variables: Record<string, string>, stdio: "pipe" | "ipc") {
    this.child = spawn(process.execPath, ["worker-runner/main.ts"], {
      env: { ...process.env, ...DEFAULTS, ...variables },
      stdio: ["ignore", "pipe", "pipe", ...(stdio === "ipc" ? ["ipc" as const] : [])],
    });
    // Once its parent has disconnected itself, a child with a channel never says "close".
    this.ended = once(this.child, stdio === "ipc" ? "exit" : "close").then(([code]) => code as number | null);
    programs.push(this);
  }

  /** Starts it and waits until it listens, or has ended. */
  static async start(variables: Record<string, string> = {}, stdio: "pipe" | "ipc" = "pipe"): Promise<RunnerProgram> {
    const program = new RunnerProgram(variables, stdio);
    const { child } = program;
    child.stderr?.on("data", (text: Buffer) => program.lines.push(text.toString()));
    await new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(() => reject(new Error(`not listening:\n${program.printed}`)), START_DEADLINE_MS);
      const settle = () => {
        clearTimeout(deadline);
        resolve();
      };
      if (child.stdout === null) throw new Error("no output");
      createInterface(child.stdout).on("line", (line) => {
        program.lines.push(line);
        const { msg, url } = JSON.parse(line) as { msg?: string; url?: string };
        if (msg === "listening" && url !== undefined) {
          program.url = url;
          settle();
        }
      });
      void program.ended.then(settle);
    });
    return program;
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  get printed(): string {
    return this.lines.join("\n");
  }

  link(key = "k1"): Promise<EdgeEnd> {
    return EdgeEnd.connect(this.url, key, TOKEN);
  }

  call(path: string, init?: RequestInit): Promise<Response> {
    return fetch(new URL(path, this.url), { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...init?.headers } });
  }

  async stop(): Promise<number | null> {
    this.child.kill("SIGTERM");
    return this.ended;
  }
}
