/** Owns when a session without link and work is ended, because no edge asks for it any more. */
import type { SessionContract } from "../../session/session-contract.ts";
import type { Logger } from "../log.ts";

export interface OrphanWatchOptions {
  /** A session for which the edge does not answer is ended after this time. */
  orphanMs: number;
  session: SessionContract;
  hasLink(): boolean;
  /** Asks the edge to open a link. If the edge knows the session, this calls `noteWanted`; if not, the session ends. */
  askEdge(): Promise<void>;
  onOrphaned(): void;
  log: Logger;
}

export class OrphanWatch {
  readonly #options: OrphanWatchOptions;
  #wantedAt = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: OrphanWatchOptions) {
    this.#options = options;
    this.#wait();
  }

  /** The edge has shown that it needs the session. */
  noteWanted(): void {
    this.#wantedAt = performance.now();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #wait(): void {
    const { orphanMs, log } = this.#options;
    const look = () =>
      this.#look()
        .catch((error: unknown) => log.error({ err: error }, "checking whether a session is still needed failed"))
        .finally(() => this.#wait());
    if (!this.#isClosed) this.#timer = setTimeout(look, orphanMs / 2).unref();
  }

  /** After half of `orphanMs` without contact the runner asks the edge. If nobody answers within all of it, the session ends. */
  async #look(): Promise<void> {
    const { orphanMs, session, hasLink, askEdge, onOrphaned, log } = this.#options;
    const unwantedMs = () => performance.now() - this.#wantedAt;
    if (hasLink() || unwantedMs() < orphanMs / 2) return;
    const { running, queued } = await session.status();
    if (running !== null || queued.length > 0) return;
    await askEdge();
    if (this.#isClosed || hasLink() || unwantedMs() < orphanMs) return;
    log.info("ending a session that the edge no longer needs");
    onOrphaned();
  }
}
