/** Owns the edge on this machine: the Worker of wrangler.toml in workerd, through miniflare's own API. */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SharedOptions } from "miniflare";
import { bundleEdge } from "./bundle-edge.ts";
import type { Logger } from "./log.ts";
import { ROOT, StartError } from "./settings.ts";

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

/**
 * Starts the edge and waits until it answers.
 *
 * @throws StartError where its configuration is wrong.
 */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { port, stateDir, variables, log } = options;
  // Loaded here, since the runners can start meanwhile: it takes a second.
  const { unstable_getMiniflareWorkerOptions: readWranglerToml } = await import("wrangler");
  const { workerOptions, define, main } = readWranglerToml(join(ROOT, "wrangler.toml"));
  if (main === undefined) throw new StartError("wrangler.toml names no main file.");
  const [contents, { Miniflare }] = await Promise.all([bundleEdge(main, define), import("miniflare")]);
  await leadWorkerdByTheHand();
  const complaints: string[] = [];
  const removeForeignListeners = watchSignalListeners();
  const miniflare = new Miniflare({
    host: HOST,
    port,
    // Nothing is fetched from anywhere: request.cf would be.
    cf: false,
    defaultPersistRoot: join(stateDir, "v3"),
    handleStructuredLogs: ({ level, message }: WorkerdLog) => {
      complaints.push(message);
      if (complaints.length > 20) complaints.shift();
      log[logLevel(level)](message);
    },
    unsafeHandleRuntimeRestart: () => log.error("workerd had ended, and is there again"),
    workers: [
      {
        ...workerOptions,
        name: "pyrepl3",
        bindings: { ...workerOptions.bindings, ...variables },
        modules: [{ type: "ESModule", path: "index.js", contents }],
      },
    ],
  });
  removeForeignListeners();
  try {
    await miniflare.ready;
    await expectHealth(`http://${HOST}:${port}`, complaints);
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
  return { url: `http://${HOST}:${port}`, stop: () => miniflare.dispose() };
}

async function expectHealth(url: string, complaints: string[]): Promise<void> {
  const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(10_000) });
  await response.body?.cancel();
  if (response.ok) return;
  const wrong = complaints
    .map((line) => /SettingsError: ([^\n\\]*)/.exec(line)?.[1])
    .find((text) => text !== undefined);
  throw new StartError(wrong ?? `The edge answers ${response.status} to /health; the lines above say why.`);
}

/** Has miniflare start workerd through a script that makes it end with this program. */
async function leadWorkerdByTheHand(): Promise<void> {
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

function logLevel(level: string): "debug" | "info" | "warn" | "error" {
  if (level === "error" || level === "warn" || level === "debug") return level;
  return "info";
}
