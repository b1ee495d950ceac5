/** Owns the runner's service: creates its parts, starts them, drains and stops them. */
import { rm } from "node:fs/promises";
import type { RunnerCapabilities } from "../../src/protocol/capabilities.ts";
import { makeTempFolder } from "../temp-folder.ts";
import { createApp } from "./app.ts";
import type { RunnerConfig } from "./config.ts";
import { createEdgeCalls } from "./edge-calls.ts";
import { type EnvironmentList, environmentsOf } from "./environments.ts";
import { FreeDisk } from "./free-disk.ts";
import { freePlaces } from "./free-places.ts";
import { HeartbeatSender } from "./heartbeat.ts";
import { SessionRegistry, type SessionSource } from "./hosted/session-registry.ts";
import { HttpServer } from "./http-server.ts";
import { LinkServer } from "./link/link-server.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { createTracing } from "./tracing.ts";

/** The part of the pool that the service uses. */
export interface ServicePool extends SessionSource {
  readonly idle: number;
  readonly starting: number;
  /** Whether `acquire` is likely to succeed. */
  readonly isReady: boolean;
  /** Environments whose interpreters cannot be started, with the reason. */
  readonly broken: ReadonlyMap<string, string>;
  shutdown(): Promise<void>;
}

export interface RunnerService {
  /** Where it listens, for example `http://127.0.0.1:8788`. */
  url: string;
  /** Logs that an environment's interpreters cannot be started any more, or can again (null), and tells the Fleet at once. */
  noteBroken(environment: string, reason: string | null): void;
  /**
   * Refuses new sessions, gives the edge time to store the present ones, then ends everything. Safe to call twice.
   *
   * @param maxGraceMs shortens SHUTDOWN_GRACE_SECONDS.
   */
  stop(maxGraceMs?: number): Promise<void>;
}

export interface RunnerServiceOptions {
  config: RunnerConfig;
  pool: ServicePool;
  capabilities: RunnerCapabilities;
  environments: EnvironmentList;
  /** The pool and its sessions report to its hooks. */
  metrics: Metrics;
  log: Logger;
  /** Called when the edge accepts the first heartbeat, or the first one after an interruption. */
  onRegistered?: () => void;
}

/**
 * Starts listening, then registers with the edge.
 *
 * @throws the server's error, for example `EADDRINUSE`.
 */
export async function startRunnerService(options: RunnerServiceOptions): Promise<RunnerService> {
  const { config, pool, capabilities, environments, metrics, log, onRegistered } = options;
  const { version } = capabilities;
  const spoolDir = await makeTempFolder("spool");
  const disk = new FreeDisk([spoolDir, ...config.STORAGE_FOLDERS], config.MIN_FREE_DISK_MB);
  const isDiskLow = () => disk.isLow;
  const edge = config.EDGE_URL === undefined ? null : createEdgeCalls(config.EDGE_URL, config.RUNNER_TOKEN);
  const tracing = await createTracing(config, log);
  const registry = new SessionRegistry({
    source: pool,
    runnerId: config.RUNNER_ID,
    version,
    ringMaxBytes: config.RING_MAX_BYTES,
    orphanMs: config.ORPHAN_SECONDS * 1000,
    giveWayMs: config.GIVE_WAY_SECONDS * 1000,
    spoolDir,
    edge,
    metrics,
    tracing,
    log,
  });
  metrics.watch({
    sessions: () => registry.size,
    links: () => registry.links,
    ringBytes: () => registry.ringBytes,
    poolIdle: () => pool.idle,
    poolStarting: () => pool.starting,
    brokenEnvironments: () => pool.broken.size,
  });
  const app = createApp({
    token: config.RUNNER_TOKEN,
    metricsToken: config.METRICS_TOKEN,
    registry,
    metrics,
    isReady: () =>
      pool.isReady && !registry.isDraining && (registry.size < config.POOL_MAX_SESSIONS || registry.canMakeRoom),
    isDiskLow,
    broken: () => pool.broken,
    capabilities,
    environments,
    checkpointMaxBytes: config.CHECKPOINT_MAX_BYTES,
    log,
  });
  const http = new HttpServer(app.fetch);
  const links = new LinkServer({
    server: http.server,
    registry,
    token: config.RUNNER_TOKEN,
    maxCodeBytes: config.MAX_CODE_BYTES,
    isDiskLow,
    metrics,
    tracing,
    log,
  });
  const url = await http.listen(config.RUNNER_PORT, config.HOST);
  const heartbeat =
    edge === null
      ? null
      : new HeartbeatSender({
          call: edge.heartbeat,
          describe: () => ({
            id: config.RUNNER_ID,
            url: config.PUBLIC_URL ?? url,
            capacity: config.POOL_MAX_SESSIONS,
            sessions: registry.size,
            draining: registry.isDraining,
            version,
            capabilities,
            gives_way: true,
            // A runner is given no session of an environment that it does not name.
            environments: environmentsOf(config)
              .map((environment) => environment.name)
              .filter((name) => !pool.broken.has(name)),
            free: freePlaces(config.POOL_MAX_SESSIONS - registry.size),
            ...(config.REGION === undefined ? {} : { region: config.REGION }),
          }),
          periodMs: config.HEARTBEAT_SECONDS * 1000,
          log,
          ...(onRegistered === undefined ? {} : { onRegistered }),
        });
  if (heartbeat === null)
    log.warn("EDGE_URL is not set: the runner does not register with an edge, and cannot ask it for a link");
  heartbeat?.beat();

  let stopping: Promise<void> | null = null;
  return {
    url,
    noteBroken(environment, reason) {
      if (reason === null) log.info({ environment }, "interpreters start again: the runner takes new sessions");
      else log.error({ environment, reason }, "no interpreter starts: the runner takes no new sessions");
      heartbeat?.beat();
    },
    stop(maxGraceMs = Number.POSITIVE_INFINITY) {
      stopping ??= stop(Math.min(maxGraceMs, config.SHUTDOWN_GRACE_SECONDS * 1000));
      return stopping;
    },
  };

  async function stop(maxGraceMs: number): Promise<void> {
    const graceMs = edge === null && registry.links === 0 ? 0 : maxGraceMs;
    log.info({ sessions: registry.size }, "stopping: the edge stores the sessions");
    const drained = registry.drain(graceMs);
    heartbeat?.beat();
    await drained;
    if (registry.size > 0) log.warn({ sessions: registry.size }, "the edge did not store every session in time");
    await registry.shutdown();
    heartbeat?.stop();
    await Promise.all([links.close(), http.close(), pool.shutdown(), tracing.shutdown()]);
    await rm(spoolDir, { recursive: true, force: true });
  }
}
