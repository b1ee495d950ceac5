/** Starts the whole product as its user does (`npm start`'s program) on free ports and a state folder of its own, and stops it. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 40_000;

export interface Product {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** `ws://127.0.0.1:PORT/ws/v1/session` */
  socketUrl: string;
  runnerUrl: string;
  stateDir: string;
  pid: number;
  /** Everything that it printed so far. */
  log(): string;
  /** Sends SIGINT, as Ctrl-C does, and waits for the end; `keepState` leaves the state folder for the next start. */
  stop(options?: { keepState?: boolean }): Promise<number | null>;
  /** Sends SIGKILL to the program itself. */
  kill(): Promise<void>;
}

/** Below those that the kernel gives to outgoing connections, any of which could take a port that was free a moment ago. */
const PORTS = { first: 12_000, count: 18_000 };

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + randomInt(PORTS.count);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once("exit", (code) => resolve(code)));
}

async function within<T>(promise: Promise<T>, ms: number, what: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(what())), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Starts the product and waits until it takes calls.
 *
 * @param options `whenListening` is called when the edge listens; with RUNNERS=0 it starts the runners.
 * @param env settings over the test's defaults (no rate limit, two idle interpreters).
 * @throws where it is not ready within a minute, with its log.
 */
export async function startProduct(
  env: Record<string, string> = {},
  options: { stateDir?: string; whenListening?: (url: string) => Promise<void> } = {},
): Promise<Product> {
  const port = await freePort();
  const runnerPort = await freePort();
  const stateDir = options.stateDir ?? (await mkdtemp(join(tmpdir(), "pyrepl3-state-")));
  const child = spawn(process.execPath, ["src/local/start.ts"], {
    cwd: ROOT,
    env: {
      ...process.env,
      PORT: String(port),
      RUNNER_PORT: String(runnerPort),
      STATE_DIR: stateDir,
      RATE_LIMIT_PER_SECOND: "0",
      POOL_MIN_IDLE: "2",
      POOL_SKELETONS: "0",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const url = `http://127.0.0.1:${port}`;
  const ready = new Promise<void>((resolve, reject) => {
    const collect = (piece: Buffer) => {
      log += piece.toString();
      if (log.includes(url)) resolve();
    };
    child.stdout?.on("data", collect);
    child.stderr?.on("data", collect);
    child.once("exit", (code) => reject(new Error(`npm start ended with ${code}:\n${log}`)));
  });
  await within(ready, READY_TIMEOUT_MS, () => `npm start is not ready:\n${log}`);
  await options.whenListening?.(url);
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (
    !(await fetch(`${url}/ready`).then(
      (answer) => answer.ok,
      () => false,
    ))
  ) {
    if (Date.now() > deadline) throw new Error(`/ready never said yes:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    url,
    socketUrl: `${url.replace("http", "ws")}/ws/v1/session`,
    runnerUrl: `http://127.0.0.1:${runnerPort}`,
    stateDir,
    pid: child.pid ?? -1,
    log: () => log,
    async stop({ keepState = false } = {}) {
      const exit = ended(child);
      child.kill("SIGINT");
      try {
        return await within(exit, STOP_TIMEOUT_MS, () => `npm start does not stop:\n${log}`);
      } catch (error) {
        child.kill("SIGKILL");
        throw error;
      } finally {
        if (!keepState) await rm(stateDir, { recursive: true, force: true });
      }
    },
    async kill() {
      const exit = ended(child);
      child.kill("SIGKILL");
      await exit;
    },
  };
}
