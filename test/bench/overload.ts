// Measures new clients that come faster than the service can start interpreters, whatever becomes of those before them (an open loop).
import { setTimeout as sleep } from "node:timers/promises";
import { testPython } from "../../scripts/python-tests.ts";
import { type Product, startProduct } from "../support/product.ts";
import type { Baselines } from "./baselines.ts";
import { percentile } from "./measure.ts";
import type { Figure } from "./report.ts";

/** Few, so that they are taken within seconds, and refusals are seen. */
const PLACES = 20;
const AT_ONCE = 12;
const SECONDS = 12;
/** How many times the greatest throughput come in the open loop. */
const FACTOR = 2;

interface Visit {
  outcome: "accepted" | "refused" | "failed";
  milliseconds: number;
  /** When it ended, in seconds since the first one began. */
  endedAt: number;
  why: string;
}

/** Visits by new clients: each runs `1` in a session of its own, and ends it. */
class Visitors {
  readonly visits: Visit[] = [];
  readonly #url: string;
  readonly #name: string;
  readonly #startedAt = performance.now();
  #number = 0;

  constructor(url: string, name: string) {
    this.#url = url;
    this.#name = name;
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  async visit(): Promise<void> {
    this.#number += 1;
    const headers = { "client-id": `${this.#name}-${this.#number}` };
    const startedAt = performance.now();
    let outcome: Visit["outcome"] = "failed";
    let why = "";
    try {
      const body = JSON.stringify({ code: "1" });
      const answer = await fetch(`${this.#url}/api/v1/execute?wait=60`, { method: "POST", headers, body });
      why = await answer.text();
      if (answer.status === 200 && JSON.parse(why).status === "succeeded") outcome = "accepted";
      else if (answer.status === 503 && Number(answer.headers.get("retry-after")) > 0) outcome = "refused";
    } catch (error) {
      why = String(error);
    }
    const milliseconds = performance.now() - startedAt;
    if (outcome === "accepted") {
      await fetch(`${this.#url}/api/v1/session`, { method: "DELETE", headers }).then((answer) => answer.body?.cancel());
    }
    this.visits.push({ outcome, milliseconds, endedAt: this.seconds, why });
  }

  of(outcome: Visit["outcome"]): Visit[] {
    return this.visits.filter((visit) => visit.outcome === outcome);
  }

  /** Accepted visits a second, while visitors came. */
  get throughput(): number {
    return this.of("accepted").filter(({ endedAt }) => endedAt <= SECONDS).length / SECONDS;
  }
}

/** So many clients at once that each next one comes when one has gone: the service is as busy as it can be. */
async function saturate(product: Product, name: string): Promise<Visitors> {
  const visitors = new Visitors(product.url, name);
  const comeAndGo = async () => {
    while (visitors.seconds < SECONDS) await visitors.visit();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, comeAndGo));
  return visitors;
}

async function flood(product: Product, perSecond: number): Promise<Visitors> {
  const visitors = new Visitors(product.url, "flood");
  const under: Promise<void>[] = [];
  while (visitors.seconds < SECONDS) {
    while (under.length < visitors.seconds * perSecond) under.push(visitors.visit());
    await sleep(5);
  }
  await Promise.all(under);
  return visitors;
}

/** A service of its own, which has few places. */
export async function measureOverload(_product: Product, _baselines: Baselines): Promise<Figure[]> {
  const settings = { PYTHON: testPython(), POOL_MIN_IDLE: "5", POOL_MAX_SESSIONS: `${PLACES}`, LOG_LEVEL: "warn" };
  const product = await startProduct(settings);
  try {
    return await measure(product);
  } finally {
    await product.stop();
  }
}

async function measure(product: Product): Promise<Figure[]> {
  const before = await saturate(product, "before");
  const most = before.throughput;
  const overloaded = await flood(product, most * FACTOR);
  const recovering = performance.now();
  const first = new Visitors(product.url, "recovered");
  while (first.of("accepted").length === 0) await first.visit();
  const recoveredMs = performance.now() - recovering;
  const after = await saturate(product, "after");
  const waits = overloaded.of("accepted").map(({ milliseconds }) => milliseconds);
  const refusals = overloaded.of("refused").map(({ milliseconds }) => milliseconds);
  const failed = [before, overloaded, after].flatMap((visitors) => visitors.of("failed"));
  const what = `new clients, ${FACTOR} × as many as can be served`;
  return [
    { what: "new clients served, the most", value: most, unit: "/s" },
    {
      what: `${what}: served`,
      value: overloaded.throughput,
      unit: "/s",
      baseline: { what: "at the most", value: most },
      target: { atLeast: 0.8, of: "ratio" },
    },
    {
      what: `${what}: longest wait of one that was served`,
      value: Math.max(0, ...waits) / 1000,
      unit: "s",
      target: { atMost: 35 },
      note: `p50 ${(percentile(waits, 0.5) / 1000).toFixed(1)} s`,
    },
    {
      what: `${what}: refused with Retry-After`,
      value: refusals.length,
      unit: "calls",
      target: { atLeast: 1 },
      note: `of ${overloaded.visits.length}; the longest wait for a refusal ${(Math.max(0, ...refusals) / 1000).toFixed(1)} s`,
    },
    {
      what: `${what}: neither`,
      value: failed.length,
      unit: "calls",
      target: { atMost: 0 },
      note: failed[0]?.why.slice(0, 200) ?? "",
    },
    { what: "the next new client after the flood", value: recoveredMs, unit: "ms", target: { atMost: 2000 } },
    {
      what: "new clients served after the flood",
      value: after.throughput,
      unit: "/s",
      baseline: { what: "before", value: most },
      target: { atLeast: 0.8, of: "ratio" },
    },
  ];
}
