/** Owns one runner as a child process: its start, its restart when it dies, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { z } from "zod";
import { RunnerCapabilities } from "../protocol/capabilities.ts";
import { Backoff } from "./backoff.ts";
import type { StartLog } from "./log.ts";
import { CODE_EXTENSION, ROOT, StartError } from "./settings.ts";

/**
 * Output passes through as strings that live for a moment. With room for 16 MiB of them nearly all die young; with 2, the heap is collected
 * whole again and again, which took three times the processor time of all else. As in `npm run runner`.
 */
const V8_FLAGS = ["--max-semi-space-size=16"];

/** Beyond the runner's own grace for its sessions; then it is killed. */
const STOP_EXTRA_MS = 10_000;

export interface RunnerProcessOptions {
  id: string;
  env: NodeJS.ProcessEnv;
  /** How long the runner itself takes at most to hand its sessions over. */
  graceMs: number;
  log: StartLog;
}

/** How a runner isolates its sessions, as it says when the edge knows it. */
const Isolation = z.object({
  sandbox: RunnerCapabilities.shape.sandbox.shape.kind,
  /** Why there is no better kind of sandbox. */
  missing: z.string().nullable(),
});
export type Isolation = z.infer<typeof Isolation>;

/** `starting` → `running` ⇄ `waiting` (to start again) → `stopping`. */
type Phase = "starting" | "running" | "waiting" | "stopping";

/** How a runner ends that somebody sent SIGTERM. */
const DRAINED = "drained";

export class RunnerProcess {
  readonly #options: RunnerProcessOptions;
  readonly #backoff = new Backoff();
  readonly #registered = Promise.withResolvers<Isolation>();
  #phase: Phase = "starting";
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: RunnerProcessOptions) {
    this.#options = options;
  }

  /**
   * Starts it and waits until the edge knows it.
   *
   * @returns how it isolates sessions.
   * @throws StartError if it ends before that.
   */
  start(): Promise<Isolation> {
    this.#spawn();
    return this.#registered.promise;
  }

  /** Lets it hand its sessions over, then waits for its end. Safe to call twice. */
  async stop(): Promise<void> {
    this.#phase = "stopping";
    this.#registered.promise.catch(() => undefined);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#child?.kill("SIGTERM");
    const kill = setTimeout(() => this.kill(), this.#options.graceMs + STOP_EXTRA_MS);
    await this.#ended;
    clearTimeout(kill);
  }

  /** Ends it at once; its Python ends with it. */
  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  #spawn(): void {
    const { id, env, log } = this.#options;
    const startedAt = performance.now();
    const child = spawn(process.execPath, [...V8_FLAGS, join(ROOT, `worker-runner/main${CODE_EXTENSION}`)], {
      env,
      // The channel tells a runner that its parent is gone, however that ended.
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      // Ctrl-C in a terminal reaches the whole group; the runner must go on until its sessions are safe.
      detached: true,
    });
    this.#child = child;
    if (child.stdout !== null) log.adopt(child.stdout, id);
    if (child.stderr !== null) log.adopt(child.stderr, id);
    child.on("message", (message) => {
      const told = Isolation.safeParse(message);
      if (!told.success) return;
      if (this.#phase === "starting") this.#phase = "running";
      this.#registered.resolve(told.data);
    });
    this.#ended = new Promise((resolve) => {
      const end = (how: string) => {
        resolve();
        if (this.#child !== child) return;
        this.#child = null;
        this.#noteEnd(how, performance.now() - startedAt);
      };
      child.once("close", (code, signal) => end(code === 0 ? DRAINED : (signal ?? `exit code ${code}`)));
      child.once("error", (error) => end(error.message));
    });
  }

  #noteEnd(how: string, ranForMs: number): void {
    const { id, log } = this.#options;
    if (this.#phase === "stopping") return;
    if (this.#phase === "starting") {
      this.#registered.reject(new StartError(`The runner did not start (${how}). The lines above say why.`));
      return;
    }
    this.#phase = "waiting";
    const waitMs = this.#backoff.next(ranForMs);
    const line = `${id} ended (${how}); it is started again in ${waitMs / 1000} s`;
    if (how === DRAINED) log.named("start").info(line);
    else log.named("start").error(line);
    this.#timer = setTimeout(() => {
      this.#phase = "running";
      this.#spawn();
    }, waitMs);
  }
}
