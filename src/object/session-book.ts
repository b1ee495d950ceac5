/** Owns which named sessions a client has: finds them, restores them after hibernation, enforces MAX_SESSIONS_PER_CLIENT, deletes expired ones. */

import type { Grant } from "../grant.ts";
import { ProblemError } from "../problem.ts";
import type { BranchOutcome } from "../protocol/branch.ts";
import type { CheckpointId, SessionName } from "../protocol/identity.ts";
import { ClientSocket } from "./clients/client-socket.ts";
import { branch } from "./session/branching.ts";
import { type ClientStores, logFailure } from "./session/client-stores.ts";
import { NamedSession } from "./session/named-session.ts";
import { exists } from "./session/session-resource.ts";
import { newSession } from "./store/session-table.ts";

const RETRY_MS = 60_000;

export class SessionBook {
  readonly #stores: ClientStores;
  readonly #sessions = new Map<SessionName, NamedSession>();
  readonly #sockets = new WeakMap<WebSocket, { session: NamedSession; socket: ClientSocket }>();

  constructor(stores: ClientStores) {
    this.#stores = stores;
    stores.tenant.watch(() => ({
      sessions: this.#namesOf((session) => session.context.isInUse),
      executions: this.#namesOf((session) => session.context.unfinishedCount > 0),
    }));
    for (const record of stores.table.load()) {
      stores.executions.skipTo(record.recoveryOrdinal);
      this.#sessions.set(record.name, new NamedSession(stores, record));
    }
    for (const ws of stores.ctx.getWebSockets()) {
      const socket = ClientSocket.wake(ws);
      const session = this.open(socket.state.session);
      session.context.delivery.wake(socket);
      this.bind(session, socket);
    }
  }

  /** The session of that name, new or not. A new session is written only once a client uses it. */
  open(name: SessionName): NamedSession {
    let session = this.#sessions.get(name);
    if (session === undefined) {
      session = new NamedSession(this.#stores, newSession(name));
      this.#sessions.set(name, session);
    }
    return session;
  }

  /** A session that a client has opened before; null if there is none. A caller that only looks gets nothing that it could write. */
  find(name: SessionName): NamedSession | null {
    return this.#sessions.get(name) ?? null;
  }

  /** The session of that name, for a call that uses it. @throws ProblemError `session_limit`, `forbidden`. */
  use(name: SessionName, grant?: Grant): NamedSession {
    const session = this.open(name);
    this.claim(session, grant);
    return session;
  }

  /** Remembers the session of a socket. */
  bind(session: NamedSession, socket: ClientSocket): void {
    this.#sockets.set(socket.ws, { session, socket });
  }

  socketOf(ws: WebSocket): { session: NamedSession; socket: ClientSocket } | null {
    return this.#sockets.get(ws) ?? null;
  }

  /** Every open socket of the client. */
  sockets(): ClientSocket[] {
    return this.all().flatMap((session) => [...session.context.delivery.sockets]);
  }

  all(): NamedSession[] {
    return [...this.#sessions.values()];
  }

  /** The sessions for a client's list: in use, or with something left to read. */
  listed(): NamedSession[] {
    return this.all().filter(
      (session) =>
        session.context.isInUse ||
        !session.context.journal.isEmpty ||
        this.#stores.checkpoints.count(session.context.record.name) > 0,
    );
  }

  /** Counts a session against the client's limit before it is used. @throws ProblemError `session_limit`, `forbidden`. */
  claim(session: NamedSession, grant?: Grant): void {
    if (session.context.isInUse) return;
    if (grant?.isReadOnly) throw new ProblemError({ code: "forbidden", detail: "The token allows no new session." });
    const max = Math.min(this.#stores.settings.MAX_SESSIONS_PER_CLIENT, grant?.sessions ?? Number.POSITIVE_INFINITY);
    const others = this.all().filter((other) => other !== session && other.context.isInUse).length;
    if (others >= max) {
      throw new ProblemError({
        code: "session_limit",
        detail: `A client has at most ${max} sessions; end one first.`,
        retryAfter: 60,
      });
    }
    session.context.claim();
    this.#forgetOldestEnded();
  }

  /**
   * Makes the session `name` with the state of `source`, or of a checkpoint.
   *
   * @throws ProblemError `session_exists`, `session_limit`, `not_found`, `checkpoint_unavailable`.
   */
  async branch(
    source: NamedSession,
    name: SessionName,
    checkpointId?: CheckpointId,
    grant?: Grant,
  ): Promise<BranchOutcome> {
    const target = this.open(name);
    if (source === target || target.context.isInUse) {
      throw new ProblemError({ code: "session_exists", detail: `A session named ${name} exists already.` });
    }
    if (checkpointId === undefined) this.claim(source, grant);
    try {
      this.claim(target, grant);
      return await branch(source, target, checkpointId);
    } finally {
      target.context.unclaim();
    }
  }

  /** After hibernation: continues what was interrupted. */
  awaken(): void {
    this.#stores.tenant.awaken();
    for (const session of this.#sessions.values()) session.awaken();
  }

  /** Does what is due. @returns when the alarm must ring next; null if nothing is left of the client. */
  async lookAfter(): Promise<number | null> {
    let nextMs: number | null = null;
    const lookAgainAt = (atMs: number) => {
      nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, atMs);
    };
    for (const session of this.all()) {
      try {
        const lives = session.idle.dueAtMs > Date.now() || (await session.idle.lookAfter());
        if (!lives) this.#replace(session);
        else if (exists(session)) lookAgainAt(session.idle.dueAtMs);
      } catch (error) {
        // A failure of one session must not keep the others from being looked after.
        logFailure(error);
        lookAgainAt(Date.now() + RETRY_MS);
      }
    }
    return nextMs;
  }

  #namesOf(isMeant: (session: NamedSession) => boolean): SessionName[] {
    return this.all()
      .filter(isMeant)
      .map((session) => session.context.record.name);
  }

  /** Moves the sockets of an expired session to a new one, which numbers its events from the beginning. */
  #replace(former: NamedSession): void {
    const { name } = former.context.record;
    this.#sessions.delete(name);
    for (const socket of former.context.delivery.sockets) {
      socket.startOver();
      const session = this.open(name);
      session.context.delivery.sockets.add(socket);
      this.bind(session, socket);
    }
  }

  /** Ended sessions that were not purged are kept for a while, up to a limit. */
  #forgetOldestEnded(): void {
    const max = this.#stores.settings.MAX_SESSIONS_PER_CLIENT;
    const ended = this.all()
      .filter((session) => session.context.record.phase === "ended" && !session.context.isInUse)
      .sort((one, other) => one.context.record.lastActiveAt - other.context.record.lastActiveAt);
    for (const session of ended.slice(0, Math.max(0, ended.length - 4 * max))) {
      this.#stores.ctx.waitUntil(session.idle.expire().then(() => this.#replace(session)));
    }
  }
}
