/** Owns one WebSocket from the edge: it sends events as far as the edge's credit goes. `link-requests.ts` carries out the requests. */
import type { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import { type EventType, isTerminal } from "../../../src/protocol/event.ts";
import { type LinkReply, LinkRequest } from "../../../src/protocol/link.ts";
import type { HostedSession, LinkPort, OpenOutcome, OpenRequest } from "../hosted/hosted-session.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { answerRequest } from "./link-requests.ts";

export interface SessionLinkOptions {
  ws: WebSocket;
  /** The socket under `ws`. */
  socket: Duplex;
  open: (request: OpenRequest) => Promise<OpenOutcome>;
  /** Asked after `opened`: the edge must know that the runner is stopping. */
  isDraining: () => boolean;
  /** Whether the disk is too full to store anything new. */
  isDiskLow: () => boolean;
  metrics: Metrics;
  log: Logger;
}

/** Output waits, as if credit were missing, while this many bytes are queued in the socket. */
const HIGH_WATER_BYTES = 1024 * 1024;

const CLOSE = { normal: 1000, violation: 1008, failed: 1011, replaced: 4001 } as const;

/** These events wait for credit. The others never wait by themselves, but keep their order behind these. */
function needsCredit(type: EventType): boolean {
  return type === "output" || type === "display" || type === "clear_output" || type === "tool_call";
}

/** Serves one link from its `open` to its close. */
export class SessionLink implements LinkPort {
  readonly #options: SessionLinkOptions;
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  /** Messages that arrived before the session was found. */
  #early: LinkRequest[] | null = null;
  #hosted: HostedSession | null = null;
  #sentSeq = 0;
  #credit = 0;
  #isCorked = false;
  #isCongested = false;

  constructor(options: SessionLinkOptions) {
    this.#options = options;
    this.#ws = options.ws;
    this.#socket = options.socket;
    this.#ws.on("message", (message, isBinary) => this.#receive(message, isBinary));
    this.#ws.on("close", () => this.#hosted?.detach(this));
    this.#ws.on("error", (error) => this.#options.log.warn({ err: error.message }, "a link failed"));
  }

  /** Sends events until none is left or the next one must wait. */
  pump(): void {
    const ring = this.#hosted?.ring;
    if (ring === undefined) return;
    for (let event = ring.firstAfter(this.#sentSeq); event !== undefined; event = ring.firstAfter(this.#sentSeq)) {
      if (this.#ws.readyState !== this.#ws.OPEN) return;
      if (needsCredit(event.type) && (this.#credit <= 0 || this.#isCongested)) return;
      this.#sentSeq = event.seq;
      this.#credit -= event.bytes;
      this.#send(event.encode());
      // The client waits for this event, and the runner's next step takes longer than a write.
      if (isTerminal(event.type)) this.#uncork();
    }
  }

  tell(reply: LinkReply): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#send(JSON.stringify(reply));
  }

  onReplaced(): void {
    this.#ws.close(CLOSE.replaced, "another link took over");
  }

  onSessionGone(): void {
    this.#ws.close(CLOSE.normal, "the session is over");
  }

  #send(text: string | Buffer): void {
    // Everything that one turn of the event loop sends, such as output and result of an execution, leaves in one write.
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => this.#uncork());
    }
    if (this.#ws.bufferedAmount + text.length < HIGH_WATER_BYTES) {
      this.#ws.send(text, { binary: false });
      return;
    }
    this.#isCongested = true;
    this.#ws.send(text, { binary: false }, () => {
      if (!this.#isCongested || this.#ws.bufferedAmount >= HIGH_WATER_BYTES) return;
      this.#isCongested = false;
      this.pump();
    });
  }

  #uncork(): void {
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#socket.uncork();
  }

  #receive(message: RawData, isBinary: boolean): void {
    const request = isBinary ? null : parseRequest(message);
    if (request === null) {
      this.#violate("malformed frame");
    } else if (request.type === "open") {
      this.#open(request);
    } else if (this.#hosted !== null) {
      this.#obey(this.#hosted, request);
    } else if (this.#early !== null) {
      this.#early.push(request);
    } else {
      this.#violate("the first frame must be open");
    }
  }

  #obey(hosted: HostedSession, request: Exclude<LinkRequest, OpenRequest>): void {
    if (request.type === "credit") {
      this.#credit += request.bytes;
      this.pump();
    } else if (request.type === "frame_limit") {
      hosted.session.limitFrames(request.bytes);
    } else if (request.type === "keep_output") {
      const { head_bytes: headBytes, tail_bytes: tailBytes } = request.limit ?? {};
      hosted.session.keepOutput(headBytes === undefined || tailBytes === undefined ? null : { headBytes, tailBytes });
    } else if (request.type === "stay") {
      hosted.use.note();
    } else if (request.type === "durable") {
      hosted.markDurable(request.seq);
    } else {
      if (isUse(request)) hosted.use.note();
      answerRequest(hosted, request, this.#options, (reply) => this.tell(reply));
    }
  }

  #open(request: OpenRequest): void {
    if (this.#early !== null || this.#hosted !== null) {
      this.#violate("a second open");
      return;
    }
    this.#early = [];
    // Messages that arrive while the pool is busy would fill the memory.
    this.#ws.pause();
    this.#options.open(request).then(
      (outcome) => this.#begin(request, outcome),
      (error: unknown) => {
        this.#options.log.error({ err: error }, "opening a session failed");
        this.#refuse({ type: "refused", code: "runner_error", detail: "The session could not be opened." });
      },
    );
  }

  #begin(request: OpenRequest, outcome: OpenOutcome): void {
    if ("refused" in outcome) {
      this.#refuse(outcome.refused);
      return;
    }
    // A link that has closed meanwhile must not replace its successor.
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    this.#sentSeq = request.after;
    this.#credit = request.credit;
    this.#hosted = outcome.hosted;
    // The limits of a former link belonged to its clients.
    outcome.hosted.session.limitFrames(0);
    outcome.hosted.session.keepOutput(null);
    this.tell(outcome.opened);
    outcome.hosted.attach(this);
    if (this.#options.isDraining()) this.tell({ type: "draining" });
    this.pump();
    for (const early of this.#early ?? []) {
      if (early.type !== "open") this.#obey(outcome.hosted, early);
    }
    this.#early = [];
    this.#ws.resume();
  }

  #refuse(refused: Extract<LinkReply, { type: "refused" }>): void {
    this.#options.metrics.refusals.inc({ code: refused.code });
    this.tell(refused);
    this.#ws.resume();
    this.#ws.close(refused.code === "runner_error" ? CLOSE.failed : CLOSE.normal);
  }

  #violate(what: string): void {
    this.#options.metrics.violations.inc();
    this.#options.log.warn({ what }, "closing a link");
    // The other side's close frame has to be read.
    this.#ws.resume();
    this.#ws.close(CLOSE.violation, what);
  }
}

/** Requests by which the edge looks at a session or stores it are no use of it. */
function isUse({ type }: LinkRequest): boolean {
  return type !== "checkpoint" && type !== "drop_checkpoint" && type !== "status";
}

function parseRequest(message: RawData): LinkRequest | null {
  let value: unknown;
  try {
    value = JSON.parse(message.toString());
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  const parsed = LinkRequest.safeParse(value);
  return parsed.success ? parsed.data : null;
}
