/** Owns which named sessions a client has: finds them, takes up those that slept, holds them to their number, deletes what has expired. */

import { ProblemError } from "../problem.ts";
import type { SessionName } from "../protocol/identity.ts";
import { ClientSocket } from "./clients/client-socket.ts";
import { type ClientStores, logFailure } from "./session/client-stores.ts";
import { NamedSession } from "./session/named-session.ts";
import { newSession } from "./store/session-table.ts";

const RETRY_MS = 60_000;

export class SessionBook {
  readonly #parts: ClientStores;
  readonly #sessions = new Map<SessionName, NamedSession>();

  constructor(parts: ClientStores) {
    this.#parts = parts;
    for (const record of parts.table.load()) this.#sessions.set(record.name, new NamedSession(parts, record));
    for (const ws of parts.ctx.getWebSockets()) {
      const socket = ClientSocket.wake(ws);
      this.open(socket.state.session).delivery.wake(socket);
    }
  }

  /** The session of that name, known or not; one that nobody uses leaves no trace. */
  open(name: SessionName): NamedSession {
    let session = this.#sessions.get(name);
    if (session === undefined) {
      session = new NamedSession(this.#parts, newSession(name));
      this.#sessions.set(name, session);
    }
    return session;
  }

  /** The session of that name, without keeping it where it is unknown. */
  peek(name: SessionName): NamedSession {
    return this.#sessions.get(name) ?? new NamedSession(this.#parts, newSession(name));
  }

  all(): NamedSession[] {
    return [...this.#sessions.values()];
  }

  /** Those that a client would recognise: in use, or with something left to read. */
  listed(): NamedSession[] {
    return this.all().filter(
      (session) =>
        isInUse(session) || session.journal.firstSeq > 0 || this.#parts.checkpoints.count(session.record.name) > 0,
    );
  }

  /** Makes sure that there may be this session too. @throws ProblemError `session_limit`. */
  claim(session: NamedSession): void {
    if (isInUse(session)) return;
    const max = this.#parts.settings.MAX_SESSIONS_PER_CLIENT;
    const others = this.all().filter((other) => other !== session && isInUse(other)).length;
    if (others >= max) {
      throw new ProblemError({
        code: "session_limit",
        detail: `A client has at most ${max} sessions; end one first.`,
        retryAfter: 60,
      });
    }
    session.isClaimed = true;
    this.#forgetOldestEnded(max);
  }

  socketOf(ws: WebSocket): { session: NamedSession; socket: ClientSocket } | null {
    for (const session of this.#sessions.values()) {
      for (const socket of session.delivery.sockets) if (socket.isFor === ws) return { session, socket };
    }
    return null;
  }

  /** Takes up what slept in the middle of something. */
  awaken(): void {
    for (const session of this.#sessions.values()) session.awaken();
  }

  /** Does what is due, and says when to look again; null where nothing is left of the client. */
  async lookAfter(): Promise<number | null> {
    let nextMs: number | null = null;
    const lookAgainAt = (atMs: number) => {
      nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, atMs);
    };
    for (const session of this.all()) {
      try {
        const lives = session.rest.dueAtMs() > Date.now() || (await session.rest.lookAfter());
        if (!lives) this.#replace(session);
        else if (session.record.phase !== "new") lookAgainAt(session.rest.dueAtMs());
      } catch (error) {
        // One session's trouble must not keep the others from their rest.
        logFailure(error);
        lookAgainAt(Date.now() + RETRY_MS);
      }
    }
    return nextMs;
  }

  /** Sockets outlive an expired session; what comes next is numbered from the beginning. */
  #replace(former: NamedSession): void {
    const { name } = former.record;
    this.#sessions.delete(name);
    for (const socket of former.delivery.sockets) {
      socket.startOver();
      this.open(name).delivery.sockets.add(socket);
    }
  }

  /** What clients ended without purging is kept for a while, yet not without bound. */
  #forgetOldestEnded(max: number): void {
    const ended = this.all()
      .filter((session) => session.record.phase === "ended" && !session.isClaimed)
      .sort((one, other) => one.record.lastActiveAt - other.record.lastActiveAt);
    for (const session of ended.slice(0, Math.max(0, ended.length - 4 * max))) {
      this.#parts.ctx.waitUntil(session.rest.expire().then(() => this.#replace(session)));
    }
  }
}

function isInUse(session: NamedSession): boolean {
  const { phase } = session.record;
  return session.isClaimed || (phase !== "new" && phase !== "ended") || session.unfinishedCount() > 0;
}
