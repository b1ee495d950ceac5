/** Owns one shard of the registry of runners, a Durable Object; the only file that knows itty-durable. */
import { createDurable } from "itty-durable";
import { Heartbeat } from "../protocol/link.ts";
import { chooseFullRunner, chooseRunner, freePlaces, offers, type Wish } from "./placement.ts";

/** A runner that has not been heard of for this long is forgotten; runners send every 5 s. */
export const FORGET_AFTER_MS = 20_000;
/** The most runners of one shard. They send 200 heartbeats a second. */
export const MAX_RUNNERS = 1000;
const KEY_PREFIX = "runner:";

/** A runner as its shard knows it. Only the heartbeat's description is stored; the rest is known anew within a heartbeat. */
export interface RunnerEntry extends Heartbeat {
  seenAtMs: number;
  /** A caller could not reach it. It gets no session until its next heartbeat. */
  isSuspect: boolean;
}

/** What a shard can take. */
export interface ShardRoom {
  /** Places that can be had now. */
  free: number;
  /** Runners that live and do not drain. */
  live: number;
}

/** The part of a heartbeat that seldom changes, as it is stored. A change of load alone writes nothing. */
function descriptionOf(report: Heartbeat): Heartbeat {
  const { free: _free, ...rest } = report;
  return { ...rest, sessions: 0 };
}

/**
 * One shard. Its methods are reachable by the base class's own paths, which only `fleet-calls.ts` uses:
 * no request of a client is ever forwarded here.
 */
export class Fleet extends createDurable({ autoPersist: false }) {
  runners = new Map<string, RunnerEntry>();

  private get storage(): DurableObjectStorage {
    return (this.state as DurableObjectState).storage;
  }

  /** Reads the stored descriptions. How long a runner was silent is counted from here, since no heartbeat came in between. */
  override async onLoad(): Promise<void> {
    const stored = await this.storage.list({ prefix: KEY_PREFIX });
    const nowMs = Date.now();
    this.runners = new Map();
    for (const description of stored.values()) {
      const parsed = Heartbeat.safeParse(description);
      if (parsed.success) this.runners.set(parsed.data.id, { ...parsed.data, seenAtMs: nowMs, isSuspect: false });
    }
  }

  /** Notes a report. @returns `isTaken: false` if the shard is full of other runners. */
  async heartbeat(report: Heartbeat): Promise<{ isTaken: boolean }> {
    await this.forgetSilent();
    const known = this.runners.get(report.id);
    if (known === undefined && this.runners.size >= MAX_RUNNERS) return { isTaken: false };
    const description = descriptionOf(report);
    if (known === undefined || JSON.stringify(descriptionOf(pickReport(known))) !== JSON.stringify(description)) {
      await this.storage.put(KEY_PREFIX + report.id, description);
    }
    this.runners.set(report.id, { ...report, seenAtMs: Date.now(), isSuspect: false });
    return { isTaken: true };
  }

  /** Chooses a runner and counts the session as its, until the runner's next report. So a burst spreads. */
  async place(
    affinity: string,
    exclude: string[],
    wish: Wish,
  ): Promise<{ runner: { id: string; url: string } | null; isFull: boolean }> {
    await this.forgetSilent();
    const runners = [...this.runners.values()].filter((runner) => !runner.isSuspect);
    const chosen = chooseRunner(runners, affinity, exclude, wish) ?? chooseFullRunner(runners, affinity, exclude, wish);
    if (chosen === null) {
      return { runner: null, isFull: runners.some((runner) => !runner.draining && offers(runner, wish)) };
    }
    chosen.sessions += 1;
    // A full runner makes room for another session, and has no place less for it.
    if (chosen.free !== undefined) chosen.free = Math.max(0, chosen.free - 1);
    return { runner: { id: chosen.id, url: chosen.url }, isFull: false };
  }

  /** The runner that `place` would choose, without counting a session as its. */
  async candidate(affinity: string, exclude: string[]): Promise<{ runner: { id: string; url: string } | null }> {
    await this.forgetSilent();
    const runners = [...this.runners.values()].filter((runner) => !runner.isSuspect);
    const chosen = chooseRunner(runners, affinity, exclude);
    return { runner: chosen === null ? null : { id: chosen.id, url: chosen.url } };
  }

  /** A caller could not reach this runner. */
  suspect(id: string): { isKnown: boolean } {
    const runner = this.runners.get(id);
    if (runner !== undefined) runner.isSuspect = true;
    return { isKnown: runner !== undefined };
  }

  async room(wish: Wish): Promise<ShardRoom> {
    await this.forgetSilent();
    const able = [...this.runners.values()].filter((runner) => !runner.isSuspect && offers(runner, wish));
    return {
      free: able.reduce((sum, runner) => sum + freePlaces(runner), 0),
      live: able.filter((runner) => !runner.draining).length,
    };
  }

  async list(): Promise<{ runners: RunnerEntry[] }> {
    await this.forgetSilent();
    return { runners: [...this.runners.values()] };
  }

  private async forgetSilent(): Promise<void> {
    const oldest = Date.now() - FORGET_AFTER_MS;
    for (const [id, runner] of this.runners) {
      if (runner.seenAtMs >= oldest) continue;
      this.runners.delete(id);
      await this.storage.delete(KEY_PREFIX + id);
    }
  }
}

function pickReport(entry: RunnerEntry): Heartbeat {
  const { seenAtMs: _seenAtMs, isSuspect: _isSuspect, ...report } = entry;
  return report;
}
