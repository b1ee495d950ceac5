/** Owns the edge on this machine: the Worker of wrangler.toml in workerd, through miniflare's own API. */
import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SharedOptions } from "miniflare";
import type { BuiltEdge } from "./build-edge.ts";
import type { Logger } from "./log.ts";
import { StartError } from "./settings.ts";

export interface EdgeOptions {
  port: number;
  stateDir: string;
  /** Variables over those of wrangler.toml and .dev.vars. */
  variables: Record<string, string>;
  log: Logger;
}

type WorkerdLog = Parameters<NonNullable<SharedOptions["handleStructuredLogs"]>>[0];

export interface Edge {
  /** For example `http://127.0.0.1:8787`. */
  url: string;
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const HEALTH_DEADLINE_MS = 10_000;
/**
 * What comes over a WebSocket is garbage that only a full collection takes away, and without a limit that comes late: 1 GB of
 * output left 1.1 GB. The edge asks for collections itself (`src/object/runner/collect-garbage.ts`); the limit is for what it holds at a time.
 */
const V8_FLAGS = "--expose-gc --max-old-space-size=512 --max-semi-space-size=2";

/**
 * Builds and starts the edge, and waits until it answers.
 *
 * @throws StartError if it cannot be built or its configuration is wrong.
 */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { port, stateDir, variables, log } = options;
  const [built, { Miniflare }] = await Promise.all([buildEdge(), import("miniflare")]);
  await startWorkerdViaWrapper();
  process.env.MINIFLARE_WORKERD_V8_FLAGS ??= V8_FLAGS;
  const lines = new EdgeLines(log);
  const removeForeignListeners = watchSignalListeners();
  const miniflare = new Miniflare({
    host: HOST,
    port,
    // Nothing is fetched from anywhere: request.cf would be.
    cf: false,
    defaultPersistRoot: join(stateDir, "v3"),
    handleStructuredLogs: (line: WorkerdLog) => lines.take(line),
    unsafeHandleRuntimeRestart: () => log.error("workerd had ended, and is there again"),
    workers: [
      {
        ...built.workerOptions,
        name: "pyrepl3",
        bindings: { ...built.workerOptions.bindings, ...variables },
        modules: [{ type: "ESModule", path: "index.js", contents: built.module }],
      },
    ],
  });
  removeForeignListeners();
  const url = `http://${HOST}:${port}`;
  try {
    await miniflare.ready;
    await expectHealth(url, lines);
    lines.release();
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
  return { url, stop: () => miniflare.dispose() };
}

/** @throws StartError with the builder's own words. */
function buildEdge(): Promise<BuiltEdge> {
  const builder = spawn(process.execPath, [fileURLToPath(new URL("build-edge.ts", import.meta.url))], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let complaint = "";
  builder.stderr?.on("data", (text: Buffer) => {
    complaint += text.toString();
  });
  return new Promise((resolve, reject) => {
    builder.once("message", (built) => resolve(built as BuiltEdge));
    builder.once("error", reject);
    builder.once("close", () => reject(new StartError(`The edge cannot be built.\n${complaint.trim()}`)));
  });
}

async function expectHealth(url: string, lines: EdgeLines): Promise<void> {
  const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(HEALTH_DEADLINE_MS) });
  await response.body?.cancel();
  if (response.ok) return;
  const wrong = lines.find(/SettingsError: ([^\n\\]*)/);
  if (wrong === null) lines.release();
  throw new StartError(wrong ?? `The edge answers ${response.status} to /health; the lines above say why.`);
}

/** The edge's log lines, held back until it is known whether they are a wrong setting, which is better said in one line. */
class EdgeLines {
  readonly #log: Logger;
  #held: WorkerdLog[] | null = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  take(line: WorkerdLog): void {
    if (this.#held !== null) this.#held.push(line);
    else this.#log[logLevel(line)](line.message);
  }

  /** What the pattern's group matches in a line held back. */
  find(pattern: RegExp): string | null {
    for (const { message } of this.#held ?? []) {
      const found = pattern.exec(message)?.[1];
      if (found !== undefined) return found;
    }
    return null;
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const line of held) this.take(line);
  }
}

/** Has miniflare start workerd through a script that makes it end with this program. */
async function startWorkerdViaWrapper(): Promise<void> {
  if (process.platform !== "linux" || process.env.PYREPL_WORKERD !== undefined) return;
  const script = fileURLToPath(new URL("workerd-with-parent.sh", import.meta.url));
  await access(script, constants.X_OK);
  process.env.PYREPL_WORKERD = process.env.MINIFLARE_WORKERD_PATH ?? findWorkerd();
  process.env.MINIFLARE_WORKERD_PATH = script;
}

/** The workerd that miniflare would start itself. */
function findWorkerd(): string {
  const miniflare = createRequire(import.meta.url).resolve("miniflare");
  return createRequire(miniflare)("workerd").default;
}

/** Miniflare exits the process on SIGINT and SIGTERM, before any session could be stored. */
function watchSignalListeners(): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  const ours = signals.map((signal) => process.listeners(signal));
  return () => {
    signals.forEach((signal, index) => {
      for (const listener of process.listeners(signal)) {
        if (!ours[index]?.includes(listener)) process.removeListener(signal, listener);
      }
    });
  };
}

function logLevel({ level, message }: WorkerdLog): "debug" | "info" | "warn" | "error" {
  // workerd itself says when somebody went away in the middle of something, which clients may do.
  if (/^kj::.*: disconnected: /.test(message)) return "debug";
  if (level === "error" || level === "warn" || level === "debug") return level;
  return "info";
}
