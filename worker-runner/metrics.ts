/** Owns the runner's figures for Prometheus: their names, their buckets and where each is read. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { NumberedEvent } from "./session-contract.ts";

/** Figures that are read when Prometheus asks. */
export interface Gauges {
  sessions: () => number;
  links: () => number;
  ringBytes: () => number;
  poolIdle: () => number;
  poolStarting: () => number;
}

/** Finds an error's reason in its frame. Inside a JSON string every quote has a backslash before it, so this finds the field only. */
const REASON = /[{,]"reason":"([a-z_]+)"/;

export class Metrics {
  readonly #registry = new Registry();
  readonly #executions = this.#counter("pyrepl_executions_total", "Executions that ended, by outcome", ["outcome"]);
  readonly #executionSeconds = new Histogram({
    name: "pyrepl_execution_seconds",
    help: "From submission to the last event, waiting in the queue included",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 300],
    registers: [this.#registry],
  });
  readonly startSeconds = new Histogram({
    name: "pyrepl_session_start_seconds",
    help: "From asking the pool to having a session",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    registers: [this.#registry],
  });
  readonly refusals = this.#counter("pyrepl_refusals_total", "Sessions that the runner refused, by code", ["code"]);
  readonly rings = this.#counter("pyrepl_rings_total", "Times that the runner rang the edge");
  readonly violations = this.#counter("pyrepl_link_violations_total", "Links closed because of a malformed frame");

  constructor(gauges: Gauges) {
    collectDefaultMetrics({ register: this.#registry });
    this.#gauge("pyrepl_sessions", "Sessions that the runner holds", gauges.sessions);
    this.#gauge("pyrepl_links", "Links to the edge", gauges.links);
    this.#gauge("pyrepl_ring_bytes", "Event bytes that the edge does not have on disk", gauges.ringBytes);
    this.#gauge("pyrepl_pool_idle", "Interpreters ready for a session", gauges.poolIdle);
    this.#gauge("pyrepl_pool_starting", "Interpreters that are starting", gauges.poolStarting);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The figures as Prometheus reads them. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  /** @param seconds null where the runner did not see the submission. */
  noteExecution(terminal: NumberedEvent, seconds: number | null): void {
    const outcome = terminal.type === "result" ? "result" : (REASON.exec(terminal.frame)?.[1] ?? "exception");
    this.#executions.inc({ outcome });
    if (seconds !== null) this.#executionSeconds.observe(seconds);
  }

  #counter<Label extends string = never>(name: string, help: string, labelNames: Label[] = []): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
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
