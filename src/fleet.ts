/** Owns the registry of runners and the choice among them; the only file that knows itty-durable. */
import { createDurable } from "itty-durable";
import { z } from "zod";
import type { Bindings } from "./env.ts";
import { settingsOf } from "./env.ts";
import { Heartbeat } from "./protocol/link.ts";

/** A runner that has not been heard of for this long is forgotten; runners send every 5 s. */
export const FORGET_AFTER_MS = 20_000;
const FIXED_RUNNER_ID = "fixed";
const MAX_RUNNERS = 1000;

const Runner = Heartbeat.extend({ seenAtMs: z.number() });
type Runner = z.infer<typeof Runner>;
const Placement = z.object({ id: z.string(), url: z.string() });
export type Placement = z.infer<typeof Placement>;

/** What a caller's name and a runner's give together: a number in (0, 1) that never changes (FNV-1a, finished as murmur3). */
function stableFraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) + 1) / (2 ** 32 + 2);
}

/**
 * Chooses by weighted rendezvous hashing: each runner gets its share by free capacity, and one affinity
 * stays with its runner while the fleet and its load stay about the same.
 */
export function chooseRunner<R extends { id: string; capacity: number; sessions: number; draining: boolean }>(
  runners: readonly R[],
  affinity: string,
  exclude: readonly string[],
): R | null {
  let best: R | null = null;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const runner of runners) {
    const free = runner.capacity - runner.sessions;
    if (runner.draining || free <= 0 || exclude.includes(runner.id)) continue;
    const score = -free / Math.log(stableFraction(JSON.stringify([affinity, runner.id])));
    if (score > bestScore) [best, bestScore] = [runner, score];
  }
  return best;
}

/**
 * The Durable Object. Its methods are reachable by the base class's own paths, which only `callFleet` uses:
 * no request of a client is ever forwarded here.
 */
export class Fleet extends createDurable({ autoPersist: true }) {
  /** Persisted by the base class after every call. */
  runners: Record<string, Runner> = {};

  heartbeat(report: Heartbeat): { runners: number } {
    this.forgetSilent();
    const isKnown = Object.hasOwn(this.runners, report.id);
    if (isKnown || Object.keys(this.runners).length < MAX_RUNNERS) {
      this.runners = { ...this.runners, [report.id]: { ...report, seenAtMs: Date.now() } };
    }
    return { runners: Object.keys(this.runners).length };
  }

  place(affinity: string, exclude: string[]): { runner: Placement | null; isFull: boolean } {
    this.forgetSilent();
    const runners = Object.values(this.runners);
    const chosen = chooseRunner(runners, affinity, exclude);
    if (chosen === null) return { runner: null, isFull: runners.some((runner) => !runner.draining) };
    // Counted until the runner's next report, so that a burst spreads.
    chosen.sessions += 1;
    return { runner: { id: chosen.id, url: chosen.url }, isFull: false };
  }

  list(): { runners: Runner[] } {
    this.forgetSilent();
    return { runners: Object.values(this.runners) };
  }

  private forgetSilent(): void {
    const oldest = Date.now() - FORGET_AFTER_MS;
    this.runners = Object.fromEntries(Object.entries(this.runners).filter(([, runner]) => runner.seenAtMs >= oldest));
  }
}

/** Arguments travel in a header, which holds Latin-1 only: everything else goes as JSON escapes. */
function headerJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

async function callFleet<Schema extends z.ZodType>(
  env: Bindings,
  method: "heartbeat" | "place" | "list",
  args: unknown[],
  answer: Schema,
): Promise<z.output<Schema>> {
  const stub = env.FLEET.get(env.FLEET.idFromName("fleet"));
  const response = await stub.fetch(`https://fleet/do/call/${method}`, { headers: { "do-content": headerJson(args) } });
  if (!response.ok) throw new Error(`the Fleet answered ${response.status} to ${method}`);
  return answer.parse(await response.json());
}

/** Notes what a runner reports of itself. */
export async function recordHeartbeat(env: Bindings, report: Heartbeat): Promise<void> {
  await callFleet(env, "heartbeat", [report], z.object({ runners: z.number() }));
}

/**
 * Chooses a runner for a session that has none.
 *
 * @param affinity the same text tends to the same runner.
 * @param exclude ids of runners that just refused.
 * @returns `full` where those that live have no room, `none` where none lives. With RUNNER_URL set, that runner.
 */
export async function placeRunner(
  env: Bindings,
  affinity: string,
  exclude: string[] = [],
): Promise<Placement | "full" | "none"> {
  const fixedUrl = settingsOf(env).RUNNER_URL;
  if (fixedUrl !== undefined) return exclude.length > 0 ? "none" : { id: FIXED_RUNNER_ID, url: fixedUrl };
  const answer = z.object({ runner: Placement.nullable(), isFull: z.boolean() });
  const { runner, isFull } = await callFleet(env, "place", [affinity, exclude], answer);
  return runner ?? (isFull ? "full" : "none");
}

/** The runners that report; empty where RUNNER_URL names a fixed one. */
export async function fleetStatus(env: Bindings): Promise<Runner[]> {
  if (settingsOf(env).RUNNER_URL !== undefined) return [];
  return (await callFleet(env, "list", [], z.object({ runners: z.array(Runner) }))).runners;
}
