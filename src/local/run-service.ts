/** Owns the whole service on this machine: it starts edge and runners with one log, and stops them in order. */
import { ConfigError, parseConfig } from "../../worker-runner/service/config.ts";
import { edgeUrl, startEdge } from "./edge.ts";
import { pickEdgeVariables } from "./edge-variables.ts";
import { createStartLog, type StartLog } from "./log.ts";
import { claimPorts } from "./ports.ts";
import { type Isolation, RunnerProcess } from "./runner-process.ts";
import { parseStartSettings, StartError, type StartSettings } from "./settings.ts";
import { loadSecrets, takeStateDir } from "./state-dir.ts";

/** npm passes Ctrl-C on to a program that the terminal has told already; a person takes longer for the second one. */
const SECOND_SIGNAL_MS = 1000;
const SECRET_BYTES = 32;

/**
 * Runs the service until a signal ends it.
 *
 * @param environment settings of the service, its edge and its runners (docs/operations.md).
 * @returns the exit code of the program; what is wrong has been printed.
 */
export async function runService(environment: NodeJS.ProcessEnv): Promise<number> {
  try {
    await serve(environment, performance.now() - process.uptime() * 1000);
    return 0;
  } catch (error) {
    if (error instanceof StartError || error instanceof ConfigError) console.error(`\n${error.message}\n`);
    else console.error(error);
    return 1;
  }
}

async function serve(environment: NodeJS.ProcessEnv, startedAt: number): Promise<void> {
  const settings = parseStartSettings(environment);
  await takeStateDir(settings.STATE_DIR);
  const secrets = await loadSecrets(settings.STATE_DIR, environment);
  const runnerConfig = parseConfig({ ...environment, ...secrets });
  const log = createStartLog(settings, runnerConfig.LOG_LEVEL);
  warnOfShortSecret(environment, log);
  const [port = 0, ...runnerPorts] = await claimPorts([
    { host: settings.EDGE_HOST, port: settings.PORT, variable: "PORT" },
    ...Array.from({ length: settings.RUNNERS }, (_, index) => ({
      host: "127.0.0.1",
      port: settings.RUNNER_PORT === 0 ? 0 : settings.RUNNER_PORT + index,
      variable: "RUNNER_PORT",
    })),
  ]);
  const graceMs = runnerConfig.SHUTDOWN_GRACE_SECONDS * 1000;
  const runners = runnerPorts.map((runnerPort, index) => {
    const id = `runner-${index + 1}`;
    const url = edgeUrl(settings.EDGE_HOST, port);
    const folders = [settings.STATE_DIR, ...runnerConfig.STORAGE_FOLDERS].join();
    const env = { ...environment, ...secrets, ...runnerVariables(id, runnerPort, url), STORAGE_FOLDERS: folders };
    return new RunnerProcess({ id, env, graceMs, log });
  });

  const stopped = watchSignals(log, runners);
  const edgeStart = startEdge({
    host: settings.EDGE_HOST,
    port,
    stateDir: settings.STATE_DIR,
    variables: { ...pickEdgeVariables(environment), ...secrets, LOCAL: "true" },
    log: log.named("edge"),
  });
  const everythingStarted = Promise.all([edgeStart, Promise.all(runners.map((runner) => runner.start()))]);
  try {
    const first = await Promise.race([everythingStarted, stopped]);
    if (first !== undefined) announce(first[0].url, first[1][0], settings, log, startedAt);
    await stopped;
  } catch (error) {
    for (const runner of runners) runner.kill();
    throw error;
  } finally {
    await Promise.all(runners.map((runner) => runner.stop()));
    // An edge that did not start has nothing to stop, and said so above.
    await edgeStart.then((edge) => edge.stop()).catch(() => undefined);
  }
  log.named("start").info("stopped; the next start finds every session again");
}

/** RFC 7518, section 3.2: a key of HS256 has at least as many bits as the hash. */
function warnOfShortSecret({ JWT_SECRET = "" }: NodeJS.ProcessEnv, log: StartLog): void {
  const bytes = Buffer.byteLength(JWT_SECRET);
  if (bytes === 0 || bytes >= SECRET_BYTES) return;
  log.named("start").warn(`JWT_SECRET has ${bytes} bytes, so that it may be guessed: give it ${SECRET_BYTES} or more`);
}

function runnerVariables(id: string, port: number, edgeUrl: string): Record<string, string> {
  return {
    RUNNER_ID: id,
    RUNNER_PORT: String(port),
    HOST: "127.0.0.1",
    PUBLIC_URL: "",
    EDGE_URL: edgeUrl,
    LOG_FORMAT: "json",
  };
}

/** Resolves at the first Ctrl-C, SIGTERM or end of the terminal; at a later one everything ends at once. */
function watchSignals(log: StartLog, runners: RunnerProcess[]): Promise<void> {
  let firstAt: number | null = null;
  return new Promise((resolve) => {
    const stop = () => {
      if (firstAt !== null) return;
      firstAt = performance.now();
      log.named("start").info("stopping: sessions are stored first (once more to stop at once)");
      resolve();
    };
    const onSignal = () => {
      if (firstAt === null || performance.now() - firstAt < SECOND_SIGNAL_MS) return stop();
      for (const runner of runners) runner.kill();
      process.exit(130);
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
    // A terminal that is gone takes no more lines, which must not keep the sessions from being stored.
    for (const stream of [process.stdout, process.stderr]) stream.on("error", stop);
  });
}

const GRADES = { bwrap: "bubblewrap", landlock: "Landlock", none: "none" } as const;

/** The kind of sandbox in one word, and what a better one would take. */
function describeIsolation({ sandbox, missing }: Isolation): string {
  const better = missing === null ? "" : `\n             for bubblewrap, which isolates better: ${missing}`;
  return `  Isolation  ${GRADES[sandbox]}${better}\n`;
}

/** @param isolation of the first runner; all of one machine are isolated alike. */
function announce(
  url: string,
  isolation: Isolation | undefined,
  settings: StartSettings,
  log: StartLog,
  startedAt: number,
): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  if (settings.LOG_FORMAT === "json") {
    log.named("start").info({ url, seconds: Number(seconds), ...isolation }, "ready");
    return;
  }
  console.log(`
PyREPL3 is ready (${seconds} s). Ctrl-C stops it.

  Console    ${url}/
  REST       ${url}/api/v1   (described at ${url}/docs)
  WebSocket  ${url.replace("http", "ws")}/ws/v1/session
${settings.RUNNERS > 1 ? `  Runners    ${settings.RUNNERS}\n` : ""}${isolation === undefined ? "" : describeIsolation(isolation)}`);
}
