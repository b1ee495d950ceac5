/** Owns starting the pool from the runner's settings, and describing what it can do. */
import type { RunnerCapabilities } from "../../src/protocol/capabilities.ts";
import { Egress } from "../egress/egress.ts";
import type { PackageIndexSettings } from "../interpreter/package-index.ts";
import { EnvironmentPools } from "../pool/environment-pools.ts";
import { SessionPool } from "../pool/session-pool.ts";
import { findPythonHome } from "../sandbox/python-home.ts";
import { chooseSandbox, type SandboxChoice } from "../sandbox/sandbox-mode.ts";
import { Zygotes } from "../sandbox/zygotes.ts";
import { type SessionOptions, settleOptions } from "../session/session-options.ts";
import { describeCapabilities } from "./capabilities.ts";
import type { RunnerConfig } from "./config.ts";
import { EnvironmentList, environmentsOf } from "./environments.ts";
import type { Metrics } from "./metrics.ts";

const MIB = 1024 * 1024;
/** The edge waits two minutes for a restore, of which the blob itself may take one. */
const RESTORE_PACKAGES_MS = 50_000;

const OLDEST_PYTHON = [3, 11] as const;

export interface PreparedPool {
  pool: EnvironmentPools;
  environments: EnvironmentList;
  /** How sessions are isolated, for the log. */
  choice: SandboxChoice;
  capabilities: RunnerCapabilities;
  /** Ends the sessions, then what they were started with. */
  close(): Promise<void>;
}

/**
 * Tries the sandbox once, then starts the pool.
 *
 * @param version of PyREPL3.
 * @param warn is told if an interpreter cannot be forked from a zygote any more.
 * @param onBroken is told if an environment's interpreters cannot be started any more, and with null if they can again.
 * @throws SandboxUnavailable, SessionError or Error, with a message for the operator.
 */
export async function startServicePool(
  config: RunnerConfig,
  version: string,
  metrics: Pick<Metrics, "hooks" | "egressHooks">,
  warn: (message: string) => void = () => undefined,
  onBroken: (environment: string, reason: string | null) => void = () => undefined,
): Promise<PreparedPool> {
  for (const { python } of environmentsOf(config)) await refuseOldPython(python);
  const zygotes = new Zygotes(
    (reason) => warn(`an interpreter starts by itself: ${reason}`),
    Math.min(config.POOL_SKELETONS, config.POOL_MAX_SESSIONS),
  );
  try {
    return await startPool(config, version, metrics, zygotes, onBroken);
  } catch (error) {
    await zygotes.close();
    throw error;
  }
}

async function startPool(
  config: RunnerConfig,
  version: string,
  metrics: Pick<Metrics, "hooks" | "egressHooks">,
  zygotes: Zygotes,
  onBroken: (environment: string, reason: string | null) => void,
): Promise<PreparedPool> {
  const environments = environmentsOf(config);
  const options = sessionOptions(config, metrics);
  const { sandbox } = settleOptions(options).interpreter;
  const choice = await chooseSandbox({
    mode: config.SANDBOX,
    zygotes: config.ZYGOTE ? zygotes : null,
    sandbox,
  });
  const capabilities = await describeCapabilities({
    version,
    choice,
    sandbox,
    hasPackages: config.PACKAGE_INDEX_URL !== undefined,
    egressAllow: config.EGRESS_ALLOW.entries,
    runnerLimits: {
      sessions: config.POOL_MAX_SESSIONS,
      queued_executions: config.MAX_QUEUED_EXECUTIONS,
      code_bytes: config.MAX_CODE_BYTES,
      snapshots: config.SNAPSHOTS_PER_SESSION,
      checkpoint_bytes: config.CHECKPOINT_MAX_BYTES,
    },
  });
  const pools = environments.map(({ name, python, preload }, index) => {
    const pool = new SessionPool({
      ...options,
      python,
      preload,
      startSandbox: choice.startSandbox,
      // Others than the default one keep a single interpreter ready.
      minIdle: index === 0 ? config.POOL_MIN_IDLE : Math.min(1, config.POOL_MIN_IDLE),
      maxSessions: config.POOL_MAX_SESSIONS,
      acquireDeadlineMs: config.POOL_ACQUIRE_SECONDS * 1000,
      onBroken: (reason) => onBroken(name, reason),
    });
    return [name, pool] as const;
  });
  const pool = new EnvironmentPools(new Map(pools), config.POOL_MAX_SESSIONS);
  await pool.start();
  const close = async () => {
    await pool.shutdown();
    await zygotes.close();
  };
  return { pool, environments: new EnvironmentList(environments), choice, capabilities, close };
}

/** Checked here, because an older Python would fail with a syntax error. */
async function refuseOldPython(command: string): Promise<void> {
  const { version } = await findPythonHome(command);
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1])) return;
  throw new Error(
    `PYTHON=${command} is Python ${version}, and ${OLDEST_PYTHON.join(".")} or newer is needed: name another one by PYTHON.`,
  );
}

function sessionOptions(config: RunnerConfig, metrics: Pick<Metrics, "hooks" | "egressHooks">): SessionOptions {
  return {
    python: config.PYTHON,
    preload: config.PRELOAD,
    network: config.NETWORK ? "on" : "off",
    limits: {
      memoryBytes: config.MEMORY_LIMIT_MB * MIB,
      processes: config.PROCESS_LIMIT,
      workspaceBytes: config.WORKSPACE_LIMIT_MB * MIB,
    },
    maxQueuedExecutions: config.MAX_QUEUED_EXECUTIONS,
    codeMaxBytes: config.MAX_CODE_BYTES,
    maxSnapshots: config.SNAPSHOTS_PER_SESSION,
    checkpointMaxBytes: config.CHECKPOINT_MAX_BYTES,
    ...(config.PACKAGE_INDEX_URL === undefined ? {} : { packageIndex: packageIndex(config, config.PACKAGE_INDEX_URL) }),
    ...(config.EGRESS_ALLOW.entries.length === 0
      ? {}
      : { egress: new Egress({ allow: config.EGRESS_ALLOW, hooks: metrics.egressHooks }) }),
    metrics: metrics.hooks,
  };
}

function packageIndex(config: RunnerConfig, url: string): PackageIndexSettings {
  // PyPI keeps its files on another host than its pages.
  const ofPyPi = new URL(url).host === "pypi.org" ? ["files.pythonhosted.org"] : [];
  return {
    url,
    fileHosts: [...new Set([...ofPyPi, ...config.PACKAGE_FILE_HOSTS])],
    silenceMs: config.PACKAGE_INDEX_SECONDS * 1000,
    installMs: config.PACKAGE_INSTALL_SECONDS * 1000,
    restoreMs: Math.min(RESTORE_PACKAGES_MS, config.PACKAGE_INSTALL_SECONDS * 1000),
  };
}
