/** Owns one session on this runner for as long as the edge may want it: its ring, its one link, its doorbell, its end. */
import { isTerminal } from "../../../src/protocol/event.ts";
import type { SessionName } from "../../../src/protocol/identity.ts";
import type { LinkReply, LinkRequest, SessionKey } from "../../../src/protocol/link.ts";
import type { NumberedEvent, SessionContract } from "../../session/session-contract.ts";
import type { EdgeAnswer, EdgeCalls } from "../edge-calls.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { BlobShelf } from "./blob-shelf.ts";
import { Doorbell } from "./doorbell.ts";
import { EventRing } from "./event-ring.ts";

/** The edge's first message on a link: which session it wants. */
export type OpenRequest = Extract<LinkRequest, { type: "open" }>;

/** The answer to `open`: the session with its reply, or the refusal to send. */
export type OpenOutcome =
  | { hosted: HostedSession; opened: Extract<LinkReply, { type: "opened" }> }
  | { refused: Extract<LinkReply, { type: "refused" }> };

/** What a session asks of the link that is up; `session-link.ts` implements it. */
export interface LinkPort {
  /** Sends what the ring holds beyond what this link has sent. */
  pump(): void;
  tell(reply: LinkReply): void;
  /** Another link has taken over. */
  replaced(): void;
  /** The session is gone; closes the link. */
  gone(): void;
}

export interface HostedSessionOptions {
  key: SessionKey;
  name: SessionName;
  object: string;
  session: SessionContract;
  ringMaxBytes: number;
  /** Milliseconds without link, work or answered ring, after which nobody wants the session any more. */
  orphanMs: number;
  spoolDir: string;
  edge: EdgeCalls | null;
  metrics: Metrics;
  log: Logger;
  /** Called once, when the session is to be forgotten. */
  onRemoved: (hosted: HostedSession) => void;
}

/** How long a link that ended while the runner stops may be followed by the session's DELETE. */
const DRAINED_RING_MS = 1000;

/** `live` → `ending` (asked to) → `ended` (no interpreter; its last events still wait for the edge) → `removed`. */
type Phase = "live" | "ending" | "ended" | "removed";

/** A session with everything around it. Events flow listener → ring → link without being looked into. */
export class HostedSession {
  readonly key: SessionKey;
  readonly session: SessionContract;
  readonly ring: EventRing;
  readonly blobs: BlobShelf;
  readonly #options: HostedSessionOptions;
  readonly #doorbell: Doorbell;
  readonly #unsubscribe: () => void;
  #link: LinkPort | null = null;
  #phase: Phase = "live";
  #isPaused = false;
  #isDraining = false;
  #wantedAt = performance.now();
  #orphanTimer: NodeJS.Timeout | null = null;

  constructor(options: HostedSessionOptions) {
    this.#options = options;
    this.key = options.key;
    this.session = options.session;
    this.ring = new EventRing(options.ringMaxBytes);
    this.blobs = new BlobShelf(options.session, options.spoolDir);
    this.#doorbell = new Doorbell({
      call: (signal) => this.#ringEdge(signal),
      isNeeded: () => this.#needsLink,
      onAnswer: (answer) => this.#noteAnswer(answer),
    });
    this.#unsubscribe = options.session.subscribe({
      event: (event) => this.#take(event),
      started: (executionId, startedAt) =>
        this.#link?.tell({ type: "started", execution_id: executionId, started_at: startedAt }),
      state: (state, reason) => {
        this.#link?.tell({ type: "session", state, reason });
        if (state === "ended") this.#end(reason);
      },
    });
    this.#watchForOrphan();
  }

  get hasLink(): boolean {
    return this.#link !== null;
  }

  /** Makes `link` the session's only one. */
  attach(link: LinkPort): void {
    if (this.#phase === "removed") {
      link.gone();
      return;
    }
    const former = this.#link;
    this.#link = link;
    this.#wantedAt = performance.now();
    this.#doorbell.stop();
    former?.replaced();
  }

  /** The link is closed; a link that was replaced before changes nothing. */
  detach(link: LinkPort): void {
    if (this.#link !== link) return;
    this.#link = null;
    this.#wantedAt = performance.now();
    if (this.#phase === "ended" && this.ring.size === 0) this.#remove();
    // An edge that has just stored the session closes the link first, and says so by DELETE a moment later.
    else this.#ringIfNeeded(this.#isDraining ? DRAINED_RING_MS : 0);
  }

  /** The edge has everything up to `seq` on disk. */
  markDurable(seq: number): void {
    this.ring.dropThrough(seq);
    if (this.#isPaused && this.ring.hasRoom) {
      this.#isPaused = false;
      this.session.resumeOutput();
    }
    if (this.#phase === "ended" && this.ring.size === 0) this.#remove();
  }

  /** The runner is about to stop: says so on the link, and rings for one where there is none, news or not. */
  drain(): void {
    this.#isDraining = true;
    if (this.#link !== null) this.#link.tell({ type: "draining" });
    else this.#ringIfNeeded();
  }

  /** There is little time left to take the session over: what runs or waits has to end within `cleanUpMs`, so that its state can be stored. */
  hurry(cleanUpMs: number): void {
    if (this.#phase === "live") this.session.cancelAll(cleanUpMs);
  }

  /** Ends the interpreter, which may have last words for the link, then forgets the session with all its events. */
  async shutdown(): Promise<void> {
    if (this.#phase === "live") this.#phase = "ending";
    await this.session.shutdown();
    this.#remove();
  }

  #take(event: NumberedEvent): void {
    this.ring.append(event);
    if (isTerminal(event.type)) this.#wantedAt = performance.now();
    if (this.#link !== null) this.#link.pump();
    else this.#ringIfNeeded();
    if (this.ring.isFull && !this.#isPaused && this.#phase === "live") {
      this.#isPaused = true;
      this.session.pauseOutput();
    }
  }

  #end(reason: string): void {
    if (this.#phase !== "live" && this.#phase !== "ending") return;
    const { log } = this.#options;
    if (this.#phase === "ending") log.debug("session ended");
    else log.warn({ reason, eventsLeft: this.ring.size }, "a session ended by itself");
    this.#phase = "ended";
    // Its last events may still be on the way; whoever missed them finds them here until the orphan's deadline.
    if (this.ring.size === 0) this.#remove();
  }

  #remove(): void {
    if (this.#phase === "removed") return;
    this.#phase = "removed";
    this.#doorbell.stop();
    this.#unsubscribe();
    if (this.#orphanTimer !== null) clearTimeout(this.#orphanTimer);
    this.blobs.close();
    this.#link?.gone();
    this.#link = null;
    this.#options.onRemoved(this);
  }

  get #needsLink(): boolean {
    return this.#phase !== "removed" && this.#link === null && (this.ring.size > 0 || this.#isDraining);
  }

  #ringIfNeeded(afterMs = 0): void {
    if (this.#needsLink) this.#doorbell.ring(afterMs);
  }

  #ringEdge(signal: AbortSignal): Promise<EdgeAnswer> {
    const { edge, object, name, metrics } = this.#options;
    if (edge === null) return Promise.resolve({ outcome: "away", why: "there is no EDGE_URL" });
    metrics.rings.inc();
    return edge.ring({ object, session: name, key: this.key }, signal);
  }

  #noteAnswer(answer: EdgeAnswer): void {
    switch (answer.outcome) {
      case "taken":
        this.#wantedAt = performance.now();
        return;
      case "unknown":
        this.#options.log.info("the edge has given the session up");
        this.#abandon();
        return;
      case "away":
        return;
      default:
        answer satisfies never;
    }
  }

  #watchForOrphan(): void {
    const { orphanMs, log } = this.#options;
    const look = () =>
      this.#askWhetherWanted()
        .catch((error: unknown) => log.error({ err: error }, "a session could not be looked after"))
        .finally(() => this.#watchForOrphan());
    if (this.#phase !== "removed") this.#orphanTimer = setTimeout(look, orphanMs / 2).unref();
  }

  /** Half a deadline of silence makes the runner ask; a whole one, with nobody answering, ends the session. */
  async #askWhetherWanted(): Promise<void> {
    const idleMs = () => performance.now() - this.#wantedAt;
    if (this.#link !== null || idleMs() < this.#options.orphanMs / 2) return;
    const { running, queued } = await this.session.status();
    if (running !== null || queued.length > 0) return;
    this.#noteAnswer(await this.#ringEdge(AbortSignal.timeout(10_000)));
    if (this.#phase === "removed" || this.#link !== null || idleMs() < this.#options.orphanMs) return;
    this.#options.log.info("ending a session that nobody asks for");
    this.#abandon();
  }

  #abandon(): void {
    this.shutdown().catch((error: unknown) => this.#options.log.error({ err: error }, "a session did not end"));
  }
}
