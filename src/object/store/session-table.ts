/** Owns the stored facts of a session: its runner, its reserved event numbers, and the checkpoint that recovers it. */

import type { CheckpointId, ExecutionId, SessionName } from "../../protocol/identity.ts";
import type { SessionKey } from "../../protocol/link.ts";
import type { Restored } from "../../protocol/restored.ts";
import { DEFAULT_ENVIRONMENT } from "../../protocol/session-resource.ts";

/**
 * Where a session is in its life:
 * `new` never ran · `starting` a runner is being set up, and is not to be trusted yet · `live` an interpreter holds the state ·
 * `suspended` the state is in its checkpoint, or lost with its runner · `ended` the client ended it.
 */
export type SessionPhase = "new" | "starting" | "live" | "suspended" | "ended";

/** One incarnation of the session on one runner. */
export interface Incarnation {
  key: SessionKey;
  runnerId: string;
  runnerUrl: string;
  runnerVersion: string;
}

export interface SessionRecord {
  name: SessionName;
  /** The client has made the session by `PUT`, used or not. */
  isMade: boolean;
  /** The Python environment that it runs in. */
  environment: string;
  /** Runners there are preferred; absent: none is. */
  region?: string | undefined;
  /** How long it may rest until it is suspended; null: as the edge is configured. */
  idleSeconds: number | null;
  /** Its environment variables; the values are encrypted. */
  env: { names: string[]; sealed: string } | null;
  phase: SessionPhase;
  createdAt: number;
  lastActiveAt: number;
  incarnation: Incarnation | null;
  /** True from before a link opens until the edge has closed it: meanwhile the runner may hold events that SQLite lacks. */
  isLinked: boolean;
  /** No event of this session ever had a greater seq; a new incarnation is numbered from here. */
  reservedSeq: number;
  /** The checkpoint that recovers the state when the incarnation is gone; null: a fresh interpreter has the same state. */
  recoveryId: CheckpointId | null;
  /** Executions up to this ordinal are in the recovery checkpoint. */
  recoveryOrdinal: number;
  /** The state differs from the recovery checkpoint. */
  isDirty: boolean;
  /** Why the next incarnation begins, and what was lost; told to clients when it does. */
  returning: { reason: string; lostExecutions: ExecutionId[] } | null;
  /** How the session was brought back the last time, and its first execution afterwards (null: none yet). */
  restored: { note: Restored; executionId: ExecutionId | null } | null;
  /** What is installed in it, as far as the edge was told. */
  packages: string[];
  /** Attempts in a row to store the state that failed; absent: the last one succeeded. */
  saveFailure?: SaveFailure | undefined;
}

export interface SaveFailure {
  attempts: number;
  /** Unix seconds of the last attempt and of the next one. */
  at: number;
  nextAttemptAt: number;
}

/** Seqs that one write reserves, and how few may be left before the next write. */
export const RESERVE_STRIDE = 2 ** 20;
export const RESERVE_LEFT = 2 ** 19;

const UNMADE = {
  isMade: false,
  environment: DEFAULT_ENVIRONMENT,
  idleSeconds: null,
  env: null,
  packages: [] as string[],
};

export class SessionTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  load(): SessionRecord[] {
    return this.#sql
      .exec<{ record: string }>("SELECT record FROM session ORDER BY name")
      .toArray()
      .map((row) => Object.assign({ restored: null, ...UNMADE }, JSON.parse(row.record) as SessionRecord));
  }

  save(record: SessionRecord): void {
    this.#sql.exec("INSERT OR REPLACE INTO session (name, record) VALUES (?, ?)", record.name, JSON.stringify(record));
  }

  delete(name: SessionName): void {
    this.#sql.exec("DELETE FROM session WHERE name = ?", name);
  }
}

/** A session that never ran. */
export function newSession(name: SessionName): SessionRecord {
  const now = Date.now() / 1000;
  return {
    ...UNMADE,
    name,
    phase: "new",
    createdAt: now,
    lastActiveAt: now,
    incarnation: null,
    isLinked: false,
    reservedSeq: 0,
    recoveryId: null,
    recoveryOrdinal: 0,
    isDirty: false,
    returning: null,
    restored: null,
  };
}
