/** Owns the choice among runners and among shards: pure functions of what each has, so that a simulation can use them. */

/** What the choice needs to know of a runner. */
export interface Candidate {
  id: string;
  /** Sessions that it may hold at most. */
  capacity: number;
  /** Sessions that it holds. */
  sessions: number;
  /** Sessions that it can take now, by count and by memory; absent: `capacity - sessions`. */
  free?: number | undefined;
  draining: boolean;
  /** If it is full, it makes room by having an idle session stored. */
  gives_way?: boolean | undefined;
  /** Names of the Python environments that it offers; absent: `default` alone. */
  environments?: readonly string[] | undefined;
  region?: string | undefined;
}

/** What a session asks of its runner. */
export interface Wish {
  /** The name of a Python environment. A runner without it is never chosen. */
  environment?: string | undefined;
  /** A runner in this region is preferred while one there has room. */
  region?: string | undefined;
}

export const DEFAULT_ENVIRONMENT = "default";

/**
 * A runner may be this much fuller than the mean before its turn passes to the next one (consistent hashing with bounded
 * loads, Mirrokni et al. 2016). Rendezvous hashing alone leaves the fullest of many runners a quarter above the mean.
 */
const LOAD_BOUND = 1.1;

/** A number in (0, 1) that two texts give together and that never changes (FNV-1a, finished as murmur3). */
export function stableFraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) + 1) / (2 ** 32 + 2);
}

/** The score of weighted rendezvous hashing: the highest wins, each wins in proportion to its weight. */
function scoreOf(affinity: string, id: string, weight: number): number {
  return -weight / Math.log(stableFraction(JSON.stringify([affinity, id])));
}

/** How many sessions a runner can take now. */
export function freePlaces(runner: Candidate): number {
  if (runner.draining) return 0;
  return Math.max(0, runner.free ?? runner.capacity - runner.sessions);
}

/** Chooses a full runner that makes room, the same one for the same affinity. @returns null if there is none. */
export function chooseFullRunner<R extends Candidate>(
  runners: readonly R[],
  affinity: string,
  exclude: readonly string[],
  wish: Wish = {},
): R | null {
  let best: R | null = null;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const runner of runners) {
    if (runner.draining || !runner.gives_way || exclude.includes(runner.id) || !offers(runner, wish)) continue;
    const score = scoreOf(affinity, runner.id, runner.capacity);
    if (score > bestScore) [best, bestScore] = [runner, score];
  }
  return best;
}

/** Whether a runner offers what a session cannot do without. */
export function offers(runner: Candidate, wish: Wish): boolean {
  const environment = wish.environment ?? DEFAULT_ENVIRONMENT;
  return (runner.environments ?? [DEFAULT_ENVIRONMENT]).includes(environment);
}

/**
 * Chooses a runner for a session. One affinity stays with one runner while the fleet and its load stay about the same.
 *
 * @param affinity names the session, the same text each time.
 * @param exclude ids of runners that refused just now.
 * @returns null if no runner that offers the wish has room.
 */
export function chooseRunner<R extends Candidate>(
  runners: readonly R[],
  affinity: string,
  exclude: readonly string[],
  wish: Wish = {},
): R | null {
  const able = runners.filter(
    (runner) => freePlaces(runner) > 0 && !exclude.includes(runner.id) && offers(runner, wish),
  );
  const near = wish.region === undefined ? [] : able.filter((runner) => runner.region === wish.region);
  return bestOf(near.length > 0 ? near : able, affinity);
}

function bestOf<R extends Candidate>(runners: readonly R[], affinity: string): R | null {
  let sessions = 1;
  let capacity = 0;
  for (const runner of runners) {
    sessions += runner.sessions;
    capacity += runner.capacity;
  }
  let best: R | null = null;
  let bestScore = Number.NEGATIVE_INFINITY;
  let bestIsWithin = false;
  for (const runner of runners) {
    // The one session of slack keeps small fleets from moving a client for a single neighbour.
    const bound = Math.ceil((LOAD_BOUND * sessions * runner.capacity) / capacity) + 1;
    const isWithin = runner.sessions + 1 <= bound;
    if (bestIsWithin && !isWithin) continue;
    const score = scoreOf(affinity, runner.id, freePlaces(runner));
    if (score > bestScore || isWithin !== bestIsWithin) {
      best = runner;
      bestScore = score;
      bestIsWithin = isWithin;
    }
  }
  return best;
}

/**
 * The order in which to ask shards for a place: each first in proportion to its free places. Together with `chooseRunner`
 * inside a shard, a runner is chosen in proportion to its share of all free places.
 *
 * @param free free places of each shard, by its number.
 * @returns the numbers of the shards that have room, best first.
 */
export function orderShards(free: readonly number[], affinity: string): number[] {
  return free
    .map((weight, shard) => ({ shard, weight }))
    .filter(({ weight }) => weight > 0)
    .map(({ shard, weight }) => ({ shard, score: scoreOf(affinity, `shard-${shard}`, weight) }))
    .toSorted((a, b) => b.score - a.score)
    .map(({ shard }) => shard);
}

/** The shard that keeps a runner. */
export function shardOf(runnerId: string, shards: number): number {
  return Math.min(shards - 1, Math.floor(stableFraction(runnerId) * shards));
}
