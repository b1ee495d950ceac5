/** Owns the edge's metrics for Prometheus: their names, their help and the text. They count in this isolate since it started. */

const PREFIX = "pyrepl_edge_";
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

type Labels = Record<string, string | number>;

interface Metric {
  render(): string[];
}

const metrics: Metric[] = [];

function labelText(labels: Labels): string {
  const escaped = (value: string | number) =>
    String(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** Lines of one metric: help, type and samples. */
export function metricLines(name: string, type: string, help: string, samples: readonly [Labels, number][]): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}`),
  ];
}

class Counter implements Metric {
  readonly #name: string;
  readonly #help: string;
  readonly #values = new Map<string, { labels: Labels; value: number }>();

  constructor(name: string, help: string) {
    this.#name = PREFIX + name;
    this.#help = help;
    metrics.push(this);
  }

  add(labels: Labels = {}, by = 1): void {
    const key = labelText(labels);
    const known = this.#values.get(key);
    if (known === undefined) this.#values.set(key, { labels, value: by });
    else known.value += by;
  }

  render(): string[] {
    const samples = [...this.#values.values()].map(({ labels, value }): [Labels, number] => [labels, value]);
    return metricLines(this.#name, "counter", this.#help, samples);
  }
}

class Histogram implements Metric {
  readonly #name: string;
  readonly #help: string;
  readonly #counts = SECONDS.map(() => 0);
  #count = 0;
  #sum = 0;

  constructor(name: string, help: string) {
    this.#name = PREFIX + name;
    this.#help = help;
    metrics.push(this);
  }

  observe(seconds: number): void {
    this.#count += 1;
    this.#sum += seconds;
    const at = SECONDS.findIndex((bound) => seconds <= bound);
    if (at >= 0) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  render(): string[] {
    let below = 0;
    const buckets = SECONDS.map((bound, index) => {
      below += this.#counts[index] ?? 0;
      return `${this.#name}_bucket{le="${bound}"} ${below}`;
    });
    return [
      ...metricLines(this.#name, "histogram", this.#help, []),
      ...buckets,
      `${this.#name}_bucket{le="+Inf"} ${this.#count}`,
      `${this.#name}_sum ${this.#sum}`,
      `${this.#name}_count ${this.#count}`,
    ];
  }
}

export const edgeMetrics = {
  requests: new Counter("requests_total", "HTTP requests that were answered, by method, route and status"),
  requestSeconds: new Histogram("request_seconds", "Time until a request's answer began"),
  problems: new Counter("problems_total", "Problems that clients were told, by code"),
  sockets: new Counter("sockets_total", "WebSockets that clients opened"),
  messages: new Counter("messages_total", "Messages that clients sent over WebSockets, by type"),
  executions: new Counter("executions_total", "Executions that ended, by outcome"),
  starts: new Counter("interpreter_starts_total", "Interpreters that sessions asked for, by outcome"),
  startSeconds: new Histogram(
    "interpreter_start_seconds",
    "From asking for an interpreter to the session's state in it",
  ),
  losses: new Counter("runner_losses_total", "Sessions whose runner was lost"),
  checkpoints: new Counter("checkpoints_total", "States that were stored, by outcome"),
};

/** All metrics of this isolate in the text format of Prometheus, and the lines of others after them. */
export function renderMetrics(others: readonly string[]): string {
  return `${[...metrics.flatMap((metric) => metric.render()), ...others].join("\n")}\n`;
}
