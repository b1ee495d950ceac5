/** Owns the runner's metrics for Prometheus: their names, their buckets and their sources. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { EgressHooks } from "../egress/dialer.ts";
import type { MetricsHooks } from "../session/metrics-hooks.ts";

/** Values that are read when Prometheus asks. */
export interface Gauges {
  sessions: () => number;
  links: () => number;
  ringBytes: () => number;
  poolIdle: () => number;
  poolStarting: () => number;
  brokenEnvironments: () => number;
}

/** Each sample wakes the process. The library's own interval of 10 ms made 200 system calls a second in a runner at rest. */
const LOOP_LAG_SAMPLE_MS = 500;
const startBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

export class Metrics {
  readonly #registry = new Registry();
  readonly #executions = this.#counter("pyrepl_executions_total", "Executions that ended, by outcome", ["outcome"]);
  readonly #executionSeconds = this.#histogram(
    "pyrepl_execution_seconds",
    "Time that executions took",
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 300],
  );
  readonly #acquireSeconds = this.#histogram(
    "pyrepl_session_acquire_seconds",
    "From asking the pool to having a session",
    startBuckets,
  );
  readonly #sandboxSeconds = this.#histogram(
    "pyrepl_interpreter_start_seconds",
    "From nothing to an interpreter's first word",
    startBuckets,
  );
  readonly #pauseSeconds = this.#histogram(
    "pyrepl_snapshot_pause_seconds",
    "Time for which a session could not run code while it was copied",
    [0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5],
    ["kind"],
  );
  readonly #sandboxFailures = this.#counter("pyrepl_interpreter_failures_total", "Interpreters that did not start");
  readonly #replacements = this.#counter(
    "pyrepl_state_replacements_total",
    "Times that a session's state was put back or lost, by outcome",
    ["outcome"],
  );
  readonly #checkpointBytes = this.#counter("pyrepl_checkpoint_bytes_total", "Bytes of the checkpoints taken");
  readonly blobBytes = this.#counter(
    "pyrepl_checkpoint_bytes_sent_total",
    "Bytes of checkpoints that the edge fetched",
  );
  readonly refusals = this.#counter("pyrepl_refusals_total", "Sessions that the runner refused, by code", ["code"]);
  readonly rings = this.#counter("pyrepl_rings_total", "Times that the runner rang the edge");
  readonly violations = this.#counter("pyrepl_link_violations_total", "Links closed because of a malformed frame");

  readonly #egressRequests = this.#counter(
    "pyrepl_egress_requests_total",
    "Requests of user code to the proxy for EGRESS_ALLOW, by outcome",
    ["outcome"],
  );
  readonly #egressBytes = this.#counter(
    "pyrepl_egress_bytes_total",
    "Bytes that user code has sent and received through the proxy",
    ["direction"],
  );

  /** The callbacks for the way out of sessions. */
  readonly egressHooks: EgressHooks = {
    ended: (outcome) => this.#egressRequests.inc({ outcome }),
    moved: (sent, received) => {
      this.#egressBytes.inc({ direction: "sent" }, sent);
      this.#egressBytes.inc({ direction: "received" }, received);
    },
  };

  /** The callbacks for sessions and the pool. */
  readonly hooks: MetricsHooks = {
    executionEnded: (reason, seconds) => {
      this.#executions.inc({ outcome: reason ?? "result" });
      this.#executionSeconds.observe(seconds);
    },
    recoverySnapshot: (pauseSeconds) => {
      if (pauseSeconds !== null) this.#pauseSeconds.observe({ kind: "recovery" }, pauseSeconds);
    },
    stateReplaced: (outcome) => this.#replacements.inc({ outcome }),
    checkpointTaken: (bytes, pauseSeconds) => {
      this.#pauseSeconds.observe({ kind: "checkpoint" }, pauseSeconds);
      this.#checkpointBytes.inc(bytes);
    },
    sandboxStarted: (seconds) => this.#sandboxSeconds.observe(seconds),
    sandboxFailed: () => this.#sandboxFailures.inc(),
    acquired: (waitSeconds) => this.#acquireSeconds.observe(waitSeconds),
  };

  constructor() {
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LOOP_LAG_SAMPLE_MS });
  }

  /** Adds the gauges. Call it once. */
  watch(gauges: Gauges): void {
    this.#gauge("pyrepl_sessions", "Sessions that the runner holds", gauges.sessions);
    this.#gauge("pyrepl_links", "Links to the edge", gauges.links);
    this.#gauge("pyrepl_ring_bytes", "Event bytes that the edge does not have on disk", gauges.ringBytes);
    this.#gauge("pyrepl_pool_idle", "Interpreters ready for a session", gauges.poolIdle);
    this.#gauge("pyrepl_pool_starting", "Interpreters that are starting", gauges.poolStarting);
    this.#gauge(
      "pyrepl_broken_environments",
      "Environments whose interpreters cannot be started",
      gauges.brokenEnvironments,
    );
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in the text format of Prometheus. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  #counter<Label extends string = never>(name: string, help: string, labelNames: Label[] = []): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #histogram<Label extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: Label[] = [],
  ): Histogram<Label> {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}
