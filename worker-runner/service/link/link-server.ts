/** Owns turning HTTP upgrades into links: path, secret, frame size, and closing links whose other end is gone. */
import type { IncomingMessage, Server } from "node:http";
import { type Duplex, finished } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { DEFAULT_LIMITS } from "../../../src/protocol/limits.ts";
import { SessionKey } from "../../../src/protocol/link.ts";
import { withDeadline } from "../../deadline.ts";
import type { SessionRegistry } from "../hosted/session-registry.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { createTokenCheck } from "../runner-token.ts";
import type { Tracing } from "../tracing.ts";
import { SessionLink } from "./session-link.ts";

export interface LinkServerOptions {
  server: Server;
  registry: SessionRegistry;
  token: string;
  maxCodeBytes: number;
  /** Whether the disk is too full to store anything new. */
  isDiskLow: () => boolean;
  metrics: Metrics;
  tracing: Tracing;
  log: Logger;
}

/** A link that does not answer a ping within this time is closed. The runner then asks the edge for another one. */
const PING_PERIOD_MS = 20_000;

/** A control character takes six bytes in JSON. */
const LONGEST_ESCAPE = 6;
const FRAME_EXTRA_BYTES = 64 * 1024;

const MAX_HEADER_CHARS = 256;
const CLOSE_DEADLINE_MS = 500;
const GOING_AWAY = 1001;

const PATH = /^\/v1\/sessions\/([A-Za-z0-9_-]{1,128})\/link$/;

export class LinkServer {
  readonly #options: LinkServerOptions;
  readonly #isAllowed: (authorization: string | undefined) => boolean;
  readonly #wss: WebSocketServer;
  readonly #silent = new WeakSet<WebSocket>();
  readonly #pinging: NodeJS.Timeout;

  constructor(options: LinkServerOptions) {
    this.#options = options;
    this.#isAllowed = createTokenCheck(options.token);
    this.#wss = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: Math.max(options.maxCodeBytes * LONGEST_ESCAPE, DEFAULT_LIMITS.toolValueMaxBytes) + FRAME_EXTRA_BYTES,
      clientTracking: true,
    });
    options.server.on("upgrade", (request: IncomingMessage, socket, head) => this.#upgrade(request, socket, head));
    this.#pinging = setInterval(() => this.#pingAll(), PING_PERIOD_MS).unref();
  }

  /** Closes every link. A link that does not answer is cut off. */
  async close(): Promise<void> {
    clearInterval(this.#pinging);
    const closed = new Promise<void>((resolve) => this.#wss.close(() => resolve()));
    for (const ws of this.#wss.clients) ws.close(GOING_AWAY);
    await withDeadline(closed, "closing the links", CLOSE_DEADLINE_MS).catch(() => undefined);
    for (const ws of this.#wss.clients) ws.terminate();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.once("error", () => socket.destroy());
    const key = SessionKey.safeParse(PATH.exec((request.url ?? "").replace(/\?.*$/s, ""))?.[1]);
    if (!this.#isAllowed(request.headers.authorization)) reject(socket, "401 Unauthorized");
    else if (!key.success) reject(socket, "404 Not Found");
    else this.#wss.handleUpgrade(request, socket, head, (ws) => this.#serve(ws, socket, key.data, request));
  }

  #serve(ws: WebSocket, socket: Duplex, key: SessionKey, { headers }: IncomingMessage): void {
    const { registry, metrics, tracing, isDiskLow } = this.#options;
    const requestId = headerText(headers["x-request-id"]);
    const log = requestId === undefined ? this.#options.log : this.#options.log.child({ request_id: requestId });
    const span = tracing.startSpan("open session", headerText(headers.traceparent));
    ws.on("pong", () => this.#silent.delete(ws));
    new SessionLink({
      ws,
      socket,
      open: (request) =>
        registry.open(key, request).finally(() => {
          span?.setAttribute("pyrepl.is_new", request.create).end();
        }),
      isDraining: () => registry.isDraining,
      isDiskLow,
      metrics,
      log,
    });
  }

  #pingAll(): void {
    for (const ws of this.#wss.clients) {
      if (this.#silent.has(ws)) {
        ws.terminate();
      } else {
        this.#silent.add(ws);
        ws.ping();
      }
    }
  }
}

/** A header of the edge that goes to logs and traces; longer ones are left out. */
function headerText(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" && value.length <= MAX_HEADER_CHARS ? value : undefined;
}

function reject(socket: Duplex, status: string): void {
  finished(socket, () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
