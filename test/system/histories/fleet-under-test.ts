/** Owns an edge and runners as processes of their own: each runner is behind a proxy that can be cut, and can be killed, drained, stopped and continued. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type CuttingProxy, startCuttingProxy } from "../../support/cutting-proxy.ts";
import { findProcesses } from "../../support/processes.ts";
import { freePort, type Product, startProduct } from "../../support/product.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const RUNNER_TOKEN = "r".repeat(32);

/** Short times, so that sessions rest, sleep and are stored within seconds; the rest is as long as a slow machine needs. */
const SETTINGS = {
  RUNNER_TOKEN,
  LINK_IDLE_SECONDS: "1",
  AUTOSAVE_SECONDS: "0.5",
  SESSION_IDLE_SECONDS: "4",
  POOL_MIN_IDLE: "2",
  HEARTBEAT_SECONDS: "1",
  SHUTDOWN_GRACE_SECONDS: "120",
};

/** One runner. Its name and its address stay the same over restarts. */
export class RunnerUnderTest {
  readonly id: string;
  readonly proxy: CuttingProxy;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | null = null;
  #log = "";

  constructor(id: string, proxy: CuttingProxy, env: NodeJS.ProcessEnv) {
    this.id = id;
    this.proxy = proxy;
    this.#env = env;
  }

  get isUp(): boolean {
    return this.#child !== null;
  }

  get log(): string {
    return this.#log;
  }

  /** Starts it and waits until it is registered. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, ["--max-semi-space-size=16", "worker-runner/main.ts"], {
      cwd: ROOT,
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      const collect = (piece: Buffer) => {
        this.#log = (this.#log + piece.toString()).slice(-100_000);
        if (piece.includes("registered with the edge")) resolve();
      };
      child.stdout?.on("data", collect);
      child.stderr?.on("data", collect);
      child.once("exit", (code, signal) => {
        if (this.#child === child) this.#child = null;
        reject(new Error(`${this.id} ended (${code ?? signal}):\n${this.#log}`));
      });
    });
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Sends a signal that ends it. @returns its exit code, null if the signal itself ended it. */
  async end(name: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    child.kill(name);
    return ended;
  }
}

export interface FleetUnderTest {
  product: Product;
  runners: RunnerUnderTest[];
  /** Kills the edge; it is started again by itself. */
  killEdge(): void;
  stop(): Promise<void>;
}

export async function startFleet(count: number, env: Record<string, string> = {}): Promise<FleetUnderTest> {
  const runners: RunnerUnderTest[] = [];
  const settings = { ...SETTINGS, ...env };
  const product = await startProduct(
    { ...settings, RUNNERS: "0" },
    {
      async whenListening(url) {
        for (let index = 1; index <= count; index += 1) {
          const port = await freePort();
          const proxy = await startCuttingProxy(`http://127.0.0.1:${port}`);
          const own = { RUNNER_ID: `runner-${index}`, RUNNER_PORT: String(port), PUBLIC_URL: proxy.url, EDGE_URL: url };
          const runnerEnv = { ...process.env, ...settings, ...own, DEVELOPMENT: "1", LOG_FORMAT: "json" };
          runners.push(new RunnerUnderTest(own.RUNNER_ID, proxy, runnerEnv));
        }
        await Promise.all(runners.map((runner) => runner.start()));
      },
    },
  );
  return {
    product,
    runners,
    killEdge() {
      const isWorkerd = (pid: number) => findProcesses(product.pid, "workerd").includes(pid);
      for (const pid of findProcesses(product.pid, "serve --binary").filter(isWorkerd)) process.kill(pid, "SIGKILL");
    },
    async stop() {
      await Promise.all(
        runners.map(async (runner) => {
          runner.signal("SIGCONT");
          await runner.end("SIGKILL");
        }),
      );
      await product.stop();
      await Promise.all(runners.map((runner) => runner.proxy.close()));
    },
  };
}
