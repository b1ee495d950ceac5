/** Owns the runner's process, started by `npm run runner`: its environment, its signals and its exit code. */
import packageJson from "../package.json" with { type: "json" };
import { ConfigError, parseConfig, type RunnerConfig } from "./service/config.ts";
import { createLog, type Logger } from "./service/log.ts";
import { Metrics } from "./service/metrics.ts";
import { type RunnerService, startRunnerService } from "./service/runner-service.ts";
import { startServicePool } from "./service/start-pool.ts";
import { removeLeftFolders } from "./temp-folder.ts";

/** A terminal and npm may both pass on the same Ctrl-C. A second one by a person comes later than this. */
const SECOND_SIGNAL_MS = 1000;

const OPERATORS_ERRORS = new Set(["Error", "SandboxUnavailable", "SessionError"]);

async function run(config: RunnerConfig, log: Logger): Promise<void> {
  const stopped = watchForEnd(log);
  const metrics = new Metrics();
  const left = await removeLeftFolders();
  if (left > 0) log.info({ folders: left }, "removed the folders of a killed runner");
  let service: RunnerService | null = null;
  const prepared = await startServicePool(
    config,
    packageJson.version,
    metrics,
    (message) => log.warn(message),
    (environment, reason) => service?.noteBroken(environment, reason),
  );
  const { pool, environments, choice, capabilities, close } = prepared;
  if (choice.isWarning) log.warn(choice.detail);
  if (choice.missing !== null) log.warn(`sessions are isolated by Landlock, not by bubblewrap: ${choice.missing}`);
  if (choice.zygoteProblem !== null) log.warn(`each interpreter starts by itself: ${choice.zygoteProblem}`);
  try {
    const onRegistered = () => process.send?.({ sandbox: choice.kind, missing: choice.missing });
    service = await startRunnerService({ config, pool, capabilities, environments, metrics, log, onRegistered });
  } catch (error) {
    await close();
    throw error;
  }
  const { python, sandbox } = capabilities;
  log.info({ url: service.url, python: python.version, sandbox: sandbox.kind }, "listening");
  const { graceMs } = await stopped;
  await service.stop(graceMs);
  await close();
  log.info("stopped");
}

/** Resolves when the runner must stop, with the time for storing its sessions. A second signal ends it at once. */
function watchForEnd(log: Logger): Promise<{ graceMs: number }> {
  let firstAt: number | null = null;
  return new Promise((resolve) => {
    const onSignal = () => {
      if (firstAt === null) {
        firstAt = performance.now();
        resolve({ graceMs: Number.POSITIVE_INFINITY });
      } else if (performance.now() - firstAt > SECOND_SIGNAL_MS) {
        log.warn("stopping at once");
        process.exit(130);
      }
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
    // `npm start` has ended, and the edge with it, so no session can be stored.
    process.once("disconnect", () => resolve({ graceMs: 0 }));
  });
}

/** An error that the operator can fix is one line. Any other comes with its stack. */
function explain(error: unknown, config: RunnerConfig): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return `Port ${config.RUNNER_PORT} is in use; choose another one by RUNNER_PORT.`;
  return OPERATORS_ERRORS.has(error.name) ? error.message : (error.stack ?? error.message);
}

let config: RunnerConfig;
try {
  config = parseConfig(process.env);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exit(1);
}
const log = createLog(config);
try {
  await run(config, log);
  process.exit(0);
} catch (error) {
  log.fatal(explain(error, config));
  process.exit(1);
}
