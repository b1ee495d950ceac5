/** Owns how the runner's settings become a pool of sessions, and the pool as the service sees it. */
import type { RunnerCapabilities } from "../src/protocol/capabilities.ts";
import { describeCapabilities } from "./capabilities.ts";
import type { RunnerConfig } from "./config.ts";
import type { MetricsHooks } from "./metrics-hooks.ts";
import type { ServicePool } from "./runner-service.ts";
import { chooseSandbox, type SandboxChoice } from "./sandbox-mode.ts";
import { Session } from "./session.ts";
import { type SessionOptions, settleOptions } from "./session-options.ts";

const MIB = 1024 * 1024;

export interface PreparedPool {
  pool: ServicePool;
  /** How sessions are isolated; the log says it. */
  choice: SandboxChoice;
}

/**
 * Tries the sandbox once, then starts the pool.
 *
 * @param version the product's.
 * @throws SandboxUnavailable or Error, in words for the operator.
 */
export async function startServicePool(
  config: RunnerConfig,
  version: string,
  metrics: MetricsHooks,
): Promise<PreparedPool> {
  const options = sessionOptions(config, metrics);
  const { sandbox } = settleOptions(options).interpreter;
  const choice = await chooseSandbox({ mode: config.SANDBOX, isDevelopment: config.DEVELOPMENT, sandbox });
  const capabilities = await describeCapabilities({
    version,
    choice,
    sandbox,
    runnerLimits: {
      sessions: config.POOL_MAX_SESSIONS,
      queued_executions: config.MAX_QUEUED_EXECUTIONS,
      code_bytes: config.MAX_CODE_BYTES,
      snapshots: config.SNAPSHOTS_PER_SESSION,
      checkpoint_bytes: config.CHECKPOINT_MAX_BYTES,
    },
  });
  return { pool: adapt({ ...options, startSandbox: choice.startSandbox }, capabilities), choice };
}

function sessionOptions(config: RunnerConfig, metrics: MetricsHooks): SessionOptions {
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
    metrics,
  };
}

function adapt(options: SessionOptions, capabilities: RunnerCapabilities): ServicePool {
  return {
    acquire: () => Session.start(options),
    idle: 0,
    starting: 0,
    isReady: true,
    capabilities,
    shutdown: () => Promise.resolve(),
  };
}
