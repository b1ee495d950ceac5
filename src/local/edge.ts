/** Owns the edge on this machine: builds the Worker of wrangler.toml, serves it by workerd, and checks that it answers. */
import { spawn } from "node:child_process";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { BuildOrder } from "./build-edge.ts";
import { EdgeLines } from "./edge-lines.ts";
import type { Logger } from "./log.ts";
import { CODE_EXTENSION, StartError } from "./settings.ts";
import { sweepObjects } from "./sweep-objects.ts";
import { WorkerdProcess } from "./workerd-process.ts";

export interface EdgeOptions {
  /** The IP address to listen on. */
  host: string;
  port: number;
  stateDir: string;
  /** Variables over those of wrangler.toml and .dev.vars. */
  variables: Record<string, string>;
  log: Logger;
}

export interface Edge {
  /** For this machine's own calls, for example `http://127.0.0.1:8787`. */
  url: string;
  stop(): Promise<void>;
}

/** The folder of the clients' objects: the Worker's name and the class. */
const CLIENT_OBJECTS = "pyrepl3-ClientSession";
/** How long a line of the log may take to arrive. */
const LINE_DEADLINE_MS = 2_000;
const LOOK_AGAIN_MS = 20;
const HEALTH_DEADLINE_MS = 10_000;

/**
 * Builds and starts the edge, and waits until it answers.
 *
 * @throws StartError if it cannot be built or its configuration is wrong.
 */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { host, port, stateDir, variables, log } = options;
  const storageDir = join(stateDir, "v3");
  const config = await buildEdge({ variables, storageDir });
  await sweepObjects(join(storageDir, "do", CLIENT_OBJECTS));
  const lines = new EdgeLines(log);
  const workerd = new WorkerdProcess({ config, address: `${inBrackets(host)}:${port}`, lines, log });
  const url = edgeUrl(host, port);
  try {
    await workerd.start();
    await expectHealth(url, lines);
    lines.release();
  } catch (error) {
    lines.release();
    await workerd.stop();
    throw error;
  }
  return { url, stop: () => workerd.stop() };
}

/** How this machine's own programs reach an edge that listens on `host`. An edge on every address answers on loopback too. */
export function edgeUrl(host: string, port: number): string {
  const own = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${inBrackets(own)}:${port}`;
}

function inBrackets(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

/**
 * Workerd's configuration, built by another process.
 *
 * @throws StartError with the builder's own words.
 */
function buildEdge(order: BuildOrder): Promise<Uint8Array> {
  const program = fileURLToPath(new URL(`build-edge${CODE_EXTENSION}`, import.meta.url));
  const builder = spawn(process.execPath, [program], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    serialization: "advanced",
  });
  let complaint = "";
  builder.stderr?.on("data", (text: Buffer) => {
    complaint += text.toString();
  });
  builder.send(order, () => undefined);
  return new Promise((resolve, reject) => {
    builder.once("message", (config) => resolve(config as unknown as Uint8Array));
    builder.once("error", reject);
    builder.once("close", () => reject(new StartError(`The edge cannot be built.\n${complaint.trim()}`)));
  });
}

async function expectHealth(url: string, lines: EdgeLines): Promise<void> {
  const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(HEALTH_DEADLINE_MS) });
  await response.body?.cancel();
  if (response.ok) return;
  const wrong = await findSoon(lines, /SettingsError: ([^\n\\]*)/);
  if (wrong !== null) lines.drop();
  throw new StartError(wrong ?? `The edge answers ${response.status} to /health; the lines above say why.`);
}

/** Looks for a line that was printed before an answer was sent, but may be read after the answer. */
async function findSoon(lines: EdgeLines, pattern: RegExp): Promise<string | null> {
  const deadline = performance.now() + LINE_DEADLINE_MS;
  let found = lines.find(pattern);
  while (found === null && performance.now() < deadline) {
    await sleep(LOOK_AGAIN_MS);
    found = lines.find(pattern);
  }
  return found;
}
