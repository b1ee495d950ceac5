/** The edge's end of a link: opens it, collects what comes, and waits for what is to come. */
import { once } from "node:events";
import { WebSocket } from "ws";
import type { EventType } from "../../../src/protocol/event.ts";
import { decodeEventFrame, type EventHeader, LinkReply, type LinkRequest } from "../../../src/protocol/link.ts";

export type Received = { event: EventHeader; frame: string } | { reply: LinkReply };
export type ReceivedEvent = { header: EventHeader; frame: string };
type OpenFields = Partial<Extract<LinkRequest, { type: "open" }>>;

const DEADLINE_MS = 30_000;

export class EdgeEnd {
  readonly ws: WebSocket;
  /** Everything received and not yet taken, in order. */
  readonly received: Received[] = [];
  readonly closed: Promise<number>;
  #wake: (() => void) | null = null;

  private constructor(ws: WebSocket) {
    this.ws = ws;
    this.closed = new Promise((resolve) => ws.once("close", resolve));
    ws.on("message", (message) => {
      const text = message.toString();
      const event = decodeEventFrame(text);
      this.received.push(
        event === null
          ? { reply: LinkReply.parse(JSON.parse(text)) }
          : { event: ["E", event.seq, event.type, event.executionId, event.bytes], frame: event.frame },
      );
      this.#wake?.();
    });
    ws.once("close", () => this.#wake?.());
  }

  /** Connects without sending anything. */
  static async connect(url: string, key: string, token: string): Promise<EdgeEnd> {
    const ws = new WebSocket(`${url.replace("http", "ws")}/v1/sessions/${key}/link`, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    const end = new EdgeEnd(ws);
    await once(ws, "open");
    return end;
  }

  send(request: LinkRequest | Record<string, unknown>): void {
    this.ws.send(JSON.stringify(request));
  }

  open(fields: OpenFields = {}): void {
    this.send({
      type: "open",
      session: "default",
      after: 0,
      base: 0,
      create: true,
      credit: 1e9,
      object: "o",
      ...fields,
    });
  }

  /** The next reply of `type`; whatever came before it stays in `received`. */
  async reply<Type extends LinkReply["type"]>(type: Type): Promise<Extract<LinkReply, { type: Type }>> {
    const found = await this.#take((item) => "reply" in item && item.reply.type === type);
    return (found as { reply: Extract<LinkReply, { type: Type }> }).reply;
  }

  execute(id: string, code: string, timeout = 60): void {
    this.send({ type: "execute", execution_id: id, code, transaction_policy: "commit_always", timeout });
  }

  /** The next event of `type`; whatever came before it stays in `received`. */
  async event(type: EventType): Promise<ReceivedEvent> {
    return this.#asEvent(await this.#take((item) => "event" in item && item.event[2] === type));
  }

  /** The next `count` events, whatever they are. */
  async rawEvents(count: number): Promise<ReceivedEvent[]> {
    const events: ReceivedEvent[] = [];
    while (events.length < count) events.push(this.#asEvent(await this.#take((item) => "event" in item)));
    return events;
  }

  /** The seqs of the next `count` events. */
  async events(count: number): Promise<number[]> {
    return (await this.rawEvents(count)).map(({ header }) => header[1]);
  }

  /** From now on everything is on disk as soon as it comes, and paid for. */
  acknowledgeEverything(): void {
    this.send({ type: "credit", bytes: 1e12 });
    this.ws.on("message", () => {
      const last = this.pendingEvents.at(-1);
      if (last !== undefined) this.send({ type: "durable", seq: last });
    });
  }

  /** Resolves when the runner has dealt with everything sent before; works on an open link. */
  async settle(): Promise<void> {
    this.send({ type: "is_complete", ref: "settle", code: "" });
    await this.#take((item) => "reply" in item && "ref" in item.reply && item.reply.ref === "settle");
  }

  /** The events received and not taken. */
  get pendingEvents(): number[] {
    return this.received.flatMap((item) => ("event" in item ? [item.event[1]] : []));
  }

  #asEvent(item: Received): ReceivedEvent {
    if (!("event" in item)) throw new Error("a reply is no event");
    return { header: item.event, frame: item.frame };
  }

  async #take(isWanted: (item: Received) => boolean): Promise<Received> {
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    for (;;) {
      const index = this.received.findIndex(isWanted);
      const [found] = index === -1 ? [] : this.received.splice(index, 1);
      if (found !== undefined) return found;
      if (deadline.aborted) throw new Error(`not received; there is ${JSON.stringify(this.received)}`);
      if (this.ws.readyState === WebSocket.CLOSED) throw new Error("the link closed");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        deadline.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }
}
