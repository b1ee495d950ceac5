/** Owns a simulation of a fleet with the product's own placement: sessions are placed, runners fail, leave and join, and the load is noted. */
import { chooseRunner, orderShards, shardOf } from "../../../src/fleet/placement.ts";

interface SimulatedRunner {
  id: string;
  capacity: number;
  sessions: number;
  draining: boolean;
  affinities: string[];
}

export interface Moment {
  /** What happened before. */
  event: string;
  runners: number;
  sessions: number;
  /** Sessions of the fullest runner by the mean. */
  maxByMean: number;
  /** Share of all sessions that moved because of the event. */
  moved: number;
}

export interface SimulationOptions {
  runners: number;
  sessionsPerRunner: number;
  shards: number;
}

export class Simulation {
  readonly moments: Moment[] = [];
  readonly #options: SimulationOptions;
  readonly #shards: SimulatedRunner[][];
  /** Free places of each shard. */
  readonly #free: number[];
  #sessions = 0;
  #nextRunner = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#shards = Array.from({ length: options.shards }, () => []);
    this.#free = this.#shards.map(() => 0);
    for (let index = 0; index < options.runners; index += 1) this.#addRunner();
  }

  get runners(): SimulatedRunner[] {
    return this.#shards.flat();
  }

  /** Places that many further sessions. */
  place(count: number): void {
    for (let placed = 0; placed < count; placed += 1) {
      this.#place(`client-${this.#sessions}`);
      this.#sessions += 1;
    }
    this.#note(`${count} sessions start`, 0);
  }

  /** Takes every `step`th runner away; its sessions come back on others. */
  remove(step: number, event: string): void {
    const leaving = this.runners.filter((_, index) => index % step === 0);
    const orphans = leaving.flatMap((runner) => runner.affinities);
    const gone = new Set(leaving);
    for (const { id, capacity, sessions } of leaving) this.#addFree(id, sessions - capacity);
    this.#shards.forEach((shard, index) => {
      this.#shards[index] = shard.filter((runner) => !gone.has(runner));
    });
    for (const affinity of orphans) this.#place(affinity);
    this.#note(event, orphans.length / this.#sessions);
  }

  /** Adds empty runners. Sessions stay where they are. */
  join(count: number): void {
    for (let added = 0; added < count; added += 1) this.#addRunner();
    this.#note(`${count} runners join`, 0);
  }

  #addRunner(): void {
    const id = `runner-${this.#nextRunner}`;
    this.#nextRunner += 1;
    const capacity = this.#options.sessionsPerRunner * 2;
    const runner = { id, capacity, sessions: 0, draining: false, affinities: [] };
    this.#shards[shardOf(id, this.#options.shards)]?.push(runner);
    this.#addFree(id, capacity);
  }

  #addFree(runnerId: string, places: number): void {
    const shard = shardOf(runnerId, this.#options.shards);
    this.#free[shard] = (this.#free[shard] ?? 0) + places;
  }

  #place(affinity: string): void {
    for (const shard of orderShards(this.#free, affinity)) {
      const chosen = chooseRunner(this.#shards[shard] ?? [], affinity, []);
      if (chosen === null) continue;
      chosen.sessions += 1;
      chosen.affinities.push(affinity);
      this.#free[shard] = (this.#free[shard] ?? 0) - 1;
      return;
    }
    throw new Error(`no place for ${affinity}`);
  }

  #note(event: string, moved: number): void {
    const loads = this.runners.map((runner) => runner.sessions);
    const mean = this.#sessions / loads.length;
    const max = loads.reduce((most, load) => Math.max(most, load), 0);
    this.moments.push({ event, runners: loads.length, sessions: this.#sessions, maxByMean: max / mean, moved });
  }
}
