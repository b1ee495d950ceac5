/** Owns workerd as a child process: its start, its restart when it dies, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { Backoff } from "./backoff.ts";
import type { EdgeLines } from "./edge-lines.ts";
import type { Logger } from "./log.ts";

/** The public socket's name in the configuration. */
export const SOCKET_NAME = "entry";

/** What workerd says on its control channel for each socket that it listens on. */
const Listening = z.object({ event: z.literal("listen"), socket: z.string(), port: z.number() });

export interface WorkerdProcessOptions {
  /** As `serializeConfig` of miniflare writes it. */
  config: Uint8Array;
  /** `HOST:PORT` of the socket named `SOCKET_NAME`. */
  address: string;
  lines: EdgeLines;
  log: Logger;
}

/** `starting` → `running` ⇄ `waiting` (to start again) → `stopping`. */
type Phase = "starting" | "running" | "waiting" | "stopping";

export class WorkerdProcess {
  readonly #options: WorkerdProcessOptions;
  readonly #backoff = new Backoff();
  #phase: Phase = "starting";
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: WorkerdProcessOptions) {
    this.#options = options;
  }

  /**
   * Starts it and waits until it listens.
   *
   * @throws Error if it ends before that.
   */
  async start(): Promise<void> {
    await this.#spawn();
    this.#phase = "running";
  }

  /** Ends it at once: whatever it has acknowledged is on disk. Safe to call twice. */
  async stop(): Promise<void> {
    this.#phase = "stopping";
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#child?.kill("SIGKILL");
    await this.#ended;
  }

  async #spawn(): Promise<void> {
    const { config, lines } = this.#options;
    const startedAt = performance.now();
    const child = await this.#spawnChild();
    this.#child = child;
    const control = child.stdio[3] as Readable;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface(stream).on("line", (line) => lines.take(line));
    }
    // It ends at a wrong configuration without having read all of it; how it ended is told below.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(config);
    await new Promise<void>((resolve, reject) => {
      createInterface(control).on("line", (line) => {
        if (Listening.safeParse(JSON.parse(line)).success) resolve();
      });
      this.#ended = new Promise((resolveEnd) => {
        const end = (how: string) => {
          resolveEnd();
          reject(new Error(`workerd ended (${how})`));
          if (this.#child !== child) return;
          this.#child = null;
          if (this.#phase === "running") this.#scheduleRestart(how, performance.now() - startedAt);
        };
        child.once("close", (code, signal) => end(signal ?? `exit code ${code}`));
        child.once("error", (error) => end(error.message));
      });
    });
  }

  /** Through a script that makes it end with this program, on Linux. */
  async #spawnChild(): Promise<ChildProcess> {
    const { address } = this.#options;
    const workerd: string = createRequire(import.meta.url)("workerd").default;
    const isLinux = process.platform === "linux";
    const script = fileURLToPath(new URL("workerd-with-parent.sh", import.meta.url));
    if (isLinux) await access(script, constants.X_OK);
    // `--experimental`: the bucket's Worker asks for it.
    const args = [
      "serve",
      "--binary",
      "--experimental",
      `--socket-addr=${SOCKET_NAME}=${address}`,
      "--control-fd=3",
      "-",
    ];
    return spawn(isLinux ? script : workerd, args, {
      stdio: ["pipe", "pipe", "pipe", "pipe"],
      env: { ...process.env, PYREPL_WORKERD: workerd, TZ: "UTC" },
    });
  }

  #scheduleRestart(how: string, ranForMs: number): void {
    const { log } = this.#options;
    this.#phase = "waiting";
    const waitMs = this.#backoff.next(ranForMs);
    log.error(`workerd ended (${how}); restarting in ${waitMs / 1000} s`);
    this.#timer = setTimeout(() => {
      this.#phase = "running";
      this.#spawn().then(
        () => log.info("workerd has restarted"),
        // Its end has scheduled the next start already.
        (error: Error) => log.error(error.message),
      );
    }, waitMs);
  }
}
