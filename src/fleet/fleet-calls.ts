/** Owns the calls on the Fleet: which shard each goes to, and what the answers of several shards mean together. */
import { z } from "zod";
import type { Bindings } from "../env.ts";
import { settingsOf } from "../env.ts";
import { Heartbeat } from "../protocol/link.ts";
import { orderShards, shardOf, type Wish } from "./placement.ts";

const FIXED_RUNNER_ID = "fixed";
/** How long a shard's answer about its room steers placements. The shard that is asked for the place knows better. */
const ROOM_TTL_MS = 2000;

const Placement = z.object({ id: z.string(), url: z.string() });
export type Placement = z.infer<typeof Placement>;

const RunnerEntry = Heartbeat.extend({ seenAtMs: z.number(), isSuspect: z.boolean() });
export type FleetRunner = z.infer<typeof RunnerEntry>;

const Taken = z.object({ isTaken: z.boolean() });
const Known = z.object({ isKnown: z.boolean() });
const Placed = z.object({ runner: Placement.nullable(), isFull: z.boolean() });
const Candidate = z.object({ runner: Placement.nullable() });
const Room = z.object({ free: z.number(), live: z.number() });
const Listed = z.object({ runners: z.array(RunnerEntry) });

/** Arguments travel in a header, which holds Latin-1 only: everything else goes as JSON escapes. */
function headerJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

async function callShard<Schema extends z.ZodType>(
  env: Bindings,
  shard: number,
  method: "heartbeat" | "place" | "candidate" | "suspect" | "room" | "list",
  args: unknown[],
  answer: Schema,
): Promise<z.output<Schema>> {
  // The first shard has the name of the one registry that there was before there were shards.
  const name = shard === 0 ? "fleet" : `fleet-${shard}`;
  const stub = env.FLEET.get(env.FLEET.idFromName(name));
  const response = await stub.fetch(`https://fleet/do/call/${method}`, { headers: { "do-content": headerJson(args) } });
  if (!response.ok) throw new Error(`the Fleet answered ${response.status} to ${method}`);
  return answer.parse(await response.json());
}

function eachShard<T>(env: Bindings, call: (shard: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: settingsOf(env).FLEET_SHARDS }, (_, shard) => call(shard)));
}

/** Notes what a runner reports of itself. @returns false if its shard is full: set FLEET_SHARDS higher. */
export async function recordHeartbeat(env: Bindings, report: Heartbeat): Promise<boolean> {
  const shard = shardOf(report.id, settingsOf(env).FLEET_SHARDS);
  return (await callShard(env, shard, "heartbeat", [report], Taken)).isTaken;
}

/** Notes that a runner could not be reached: it gets no session until its next heartbeat. */
export async function reportUnreachable(env: Bindings, runnerId: string): Promise<void> {
  const { RUNNER_URL, FLEET_SHARDS } = settingsOf(env);
  if (RUNNER_URL !== undefined) return;
  await callShard(env, shardOf(runnerId, FLEET_SHARDS), "suspect", [runnerId], Known);
}

interface KnownRoom {
  free: number[];
  readAtMs: number;
}

const roomByEnv = new WeakMap<object, Map<string, KnownRoom>>();

/** Free places of each shard, at most `ROOM_TTL_MS` old. */
async function freeByShard(env: Bindings, wish: Wish): Promise<number[]> {
  let known = roomByEnv.get(env);
  if (known === undefined) {
    known = new Map();
    roomByEnv.set(env, known);
  }
  const key = wish.environment ?? "";
  const room = known.get(key);
  if (room !== undefined && Date.now() - room.readAtMs < ROOM_TTL_MS) return room.free;
  const free = (await eachShard(env, (shard) => callShard(env, shard, "room", [wish], Room))).map((one) => one.free);
  known.set(key, { free, readAtMs: Date.now() });
  return free;
}

/**
 * Chooses a runner for a session that has none.
 *
 * @param affinity the same text tends to the same runner.
 * @param exclude ids of runners that just refused.
 * @returns `full` if those that live have no room, `none` if none lives that offers the wish. With RUNNER_URL set, that
 * runner.
 */
export async function placeRunner(
  env: Bindings,
  affinity: string,
  exclude: string[] = [],
  wish: Wish = {},
): Promise<Placement | "full" | "none"> {
  const { RUNNER_URL, FLEET_SHARDS } = settingsOf(env);
  if (RUNNER_URL !== undefined) return exclude.length > 0 ? "none" : { id: FIXED_RUNNER_ID, url: RUNNER_URL };
  const ordered = FLEET_SHARDS === 1 ? [0] : orderShards(await freeByShard(env, wish), affinity);
  // Shards that had no room a moment ago are asked last: a place may have come free, and they know whether a runner lives.
  const others = Array.from({ length: FLEET_SHARDS }, (_, shard) => shard).filter((shard) => !ordered.includes(shard));
  let isFull = false;
  for (const shard of [...ordered, ...others]) {
    const answer = await callShard(env, shard, "place", [affinity, exclude, wish], Placed);
    if (answer.runner !== null) return answer.runner;
    isFull ||= answer.isFull;
  }
  return isFull ? "full" : "none";
}

/**
 * Names a runner that should have room, to be asked whether it does.
 *
 * @param exclude ids of runners that were asked already.
 * @returns null if none is left.
 */
export async function candidateRunner(env: Bindings, exclude: string[]): Promise<Placement | null> {
  const affinity = crypto.randomUUID();
  for (const shard of orderShards(await freeByShard(env, {}), affinity)) {
    const { runner } = await callShard(env, shard, "candidate", [affinity, exclude], Candidate);
    if (runner !== null) return runner;
  }
  return null;
}

/** The runners that report; empty if RUNNER_URL names a fixed one. */
export async function fleetStatus(env: Bindings): Promise<FleetRunner[]> {
  if (settingsOf(env).RUNNER_URL !== undefined) return [];
  const listed = await eachShard(env, (shard) => callShard(env, shard, "list", [], Listed));
  return listed.flatMap((one) => one.runners);
}
