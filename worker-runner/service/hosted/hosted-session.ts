/** Owns one session on this runner: its unsaved events, its one link, asking the edge for a link, and its end. */
import { isTerminal } from "../../../src/protocol/event.ts";
import type { SessionName } from "../../../src/protocol/identity.ts";
import type { LinkReply, LinkRequest, SessionKey } from "../../../src/protocol/link.ts";
import type { NumberedEvent, SessionContract } from "../../session/session-contract.ts";
import type { EdgeAnswer, EdgeCalls } from "../edge-calls.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Tracing } from "../tracing.ts";
import { BlobShelf } from "./blob-shelf.ts";
import { Doorbell } from "./doorbell.ts";
import { EventRing } from "./event-ring.ts";
import { ExecutionTraces } from "./execution-traces.ts";
import { OrphanWatch } from "./orphan-watch.ts";
import { SessionUse } from "./session-use.ts";

/** The edge's first message on a link. It names the session. */
export type OpenRequest = Extract<LinkRequest, { type: "open" }>;

/** The answer to `open`: the session and its reply, or the refusal. */
export type OpenOutcome =
  | { hosted: HostedSession; opened: Extract<LinkReply, { type: "opened" }> }
  | { refused: Extract<LinkReply, { type: "refused" }> };

/** The link as its session sees it; `session-link.ts` implements it. */
export interface LinkPort {
  /** Sends the events of the ring that this link has not sent yet. */
  pump(): void;
  tell(reply: LinkReply): void;
  /** Another link has taken over. */
  onReplaced(): void;
  /** The session is gone, so the link closes. */
  onSessionGone(): void;
}

export interface HostedSessionOptions {
  key: SessionKey;
  name: SessionName;
  object: string;
  session: SessionContract;
  ringMaxBytes: number;
  /** A session without link and work, for which the edge does not answer, is ended after this time. */
  orphanMs: number;
  spoolDir: string;
  edge: EdgeCalls | null;
  metrics: Metrics;
  tracing: Tracing;
  log: Logger;
  /** Called when the session has become idle, or is not giving way any more. */
  onIdle: () => void;
  /** Called once, when the session has to be forgotten. */
  onRemoved: (hosted: HostedSession) => void;
}

/** After a link has ended while the runner stops, the edge has this long to send the session's DELETE. */
const DRAINED_RING_MS = 1000;

/** How long the edge may take to say whether it still needs the session. */
const ASK_EDGE_MS = 10_000;

/** `live` → `ending` (on request) → `ended` (no interpreter; the last events wait for the edge) → `removed`. */
type Phase = "live" | "ending" | "ended" | "removed";

/** Events flow from the session to the ring to the link; none of them parses an event. */
export class HostedSession {
  readonly key: SessionKey;
  readonly name: SessionName;
  readonly session: SessionContract;
  readonly ring: EventRing;
  readonly blobs: BlobShelf;
  readonly traces: ExecutionTraces;
  readonly use: SessionUse;
  readonly #options: HostedSessionOptions;
  readonly #doorbell: Doorbell;
  readonly #orphanWatch: OrphanWatch;
  readonly #unsubscribe: () => void;
  #link: LinkPort | null = null;
  #phase: Phase = "live";
  #isPaused = false;
  #isDraining = false;

  constructor(options: HostedSessionOptions) {
    this.#options = options;
    this.key = options.key;
    this.name = options.name;
    this.session = options.session;
    this.ring = new EventRing(options.ringMaxBytes);
    this.blobs = new BlobShelf(options.session, options.spoolDir);
    this.traces = new ExecutionTraces(options.tracing, options.log);
    this.use = new SessionUse(options.onIdle);
    this.#doorbell = new Doorbell({
      call: (signal) => this.#ringEdge(signal),
      isNeeded: () => this.#needsLink,
      onAnswer: (answer) => this.#noteAnswer(answer),
    });
    this.#orphanWatch = new OrphanWatch({
      orphanMs: options.orphanMs,
      session: options.session,
      hasLink: () => this.hasLink,
      askEdge: async () => this.#noteAnswer(await this.#ringEdge(AbortSignal.timeout(ASK_EDGE_MS))),
      onOrphaned: () => this.#abandon(),
      log: options.log,
    });
    this.#unsubscribe = options.session.subscribe({
      event: (event) => this.#take(event),
      busy: this.use.noteBusy,
      started: (executionId, startedAt) =>
        this.#link?.tell({ type: "started", execution_id: executionId, started_at: startedAt }),
      state: (state, reason) => {
        this.#link?.tell({ type: "session", state, reason });
        if (state === "ended") this.#end(reason);
      },
    });
  }

  /** Milliseconds since the session was last used; null while it is in use or about to leave. */
  get idleMs(): number | null {
    return this.#phase === "live" && !this.#isDraining ? this.use.idleMs : null;
  }

  get isGivingWay(): boolean {
    return this.use.isGivingWay;
  }

  get hasLink(): boolean {
    return this.#link !== null;
  }

  /** Makes `link` the session's only one. */
  attach(link: LinkPort): void {
    if (this.#phase === "removed") {
      link.onSessionGone();
      return;
    }
    const former = this.#link;
    this.#link = link;
    this.#orphanWatch.noteWanted();
    this.#doorbell.stop();
    former?.onReplaced();
    if (this.isGivingWay) link.tell({ type: "give_way" });
  }

  /** The link has closed. If it was replaced before, nothing changes. */
  detach(link: LinkPort): void {
    if (this.#link !== link) return;
    this.#link = null;
    this.#orphanWatch.noteWanted();
    if (this.#phase === "ended" && this.ring.size === 0) this.#remove();
    // After storing a session, the edge closes the link first and sends DELETE a moment later.
    else this.#ringIfNeeded(this.#isDraining ? DRAINED_RING_MS : 0);
  }

  /** Asks the edge to store the session and end it here, because another one needs its place. */
  giveWay(): void {
    if (this.idleMs === null) return;
    this.use.startGivingWay();
    if (this.#link !== null) this.#link.tell({ type: "give_way" });
    else this.#ringIfNeeded();
  }

  /** The edge has stored all events up to `seq`. */
  markDurable(seq: number): void {
    this.ring.dropThrough(seq);
    if (this.#isPaused && this.ring.hasRoom) {
      this.#isPaused = false;
      this.session.resumeOutput();
    }
    if (this.#phase === "ended" && this.ring.size === 0) this.#remove();
  }

  /** The runner is about to stop: tells the edge on the link, or asks it for a link. */
  drain(): void {
    this.#isDraining = true;
    if (this.#link !== null) this.#link.tell({ type: "draining" });
    else this.#ringIfNeeded();
  }

  /** Little time is left to store the session: every execution must end within `cleanUpMs`. */
  hurry(cleanUpMs: number): void {
    if (this.#phase === "live") this.session.cancelAll(cleanUpMs);
  }

  /** Ends the interpreter, which may still send events, then forgets the session and its events. */
  async shutdown(): Promise<void> {
    if (this.#phase === "live") this.#phase = "ending";
    await this.session.shutdown();
    this.#remove();
  }

  #take(event: NumberedEvent): void {
    this.ring.append(event);
    if (isTerminal(event.type)) {
      this.#orphanWatch.noteWanted();
      this.traces.end(event.executionId, event.type, event.startedAt);
    }
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
    // The edge may not have its last events yet. They are kept until ORPHAN_SECONDS have passed.
    if (this.ring.size === 0) this.#remove();
  }

  #remove(): void {
    if (this.#phase === "removed") return;
    this.#phase = "removed";
    this.use.close();
    this.#doorbell.stop();
    this.#unsubscribe();
    this.#orphanWatch.close();
    this.blobs.close();
    this.traces.close();
    this.#link?.onSessionGone();
    this.#link = null;
    this.#options.onRemoved(this);
  }

  get #needsLink(): boolean {
    return (
      this.#phase !== "removed" && this.#link === null && (this.ring.size > 0 || this.#isDraining || this.isGivingWay)
    );
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
        this.#orphanWatch.noteWanted();
        return;
      case "unknown":
        this.#options.log.info("session released by the edge");
        this.#abandon();
        return;
      case "away":
        return;
      default:
        answer satisfies never;
    }
  }

  #abandon(): void {
    this.shutdown().catch((error: unknown) => this.#options.log.error({ err: error }, "a session did not end"));
  }
}
