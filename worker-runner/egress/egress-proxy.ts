/** Owns the HTTP proxy of one session: tunnels and plain requests, their limits and deadlines. `dialer.ts` decides whether a target is allowed. */
import { once } from "node:events";
import { chmod } from "node:fs/promises";
import {
  createServer,
  type IncomingMessage,
  request as requestHttp,
  type Server,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Dialer, EgressRefusal } from "./dialer.ts";
import { authorityOf, parseAuthority, parseHttpUrl, type Target } from "./target.ts";

/** Connections of one session that are served; as many more are told that there are too many. */
const MAX_CONNECTIONS = 32;
const MAX_HEAD_BYTES = 16 * 1024;
const KEEP_ALIVE_MS = 5_000;
/** How often Node looks for heads that are late. */
const CHECK_MS = 2_000;

/** Headers about one connection (RFC 9110, section 7.6.1), which a proxy does not pass on. */
const OF_A_CONNECTION = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

export class EgressProxy {
  readonly #dialer: Dialer;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  /** Connections to targets that are open or being made. */
  #upstreams = 0;

  /** Listens on a new socket at `path`. Only the session that the path belongs to gets to it. */
  static async open(path: string, dialer: Dialer): Promise<EgressProxy> {
    const proxy = new EgressProxy(dialer);
    proxy.#server.listen(path);
    await once(proxy.#server, "listening");
    // The sandbox may run as another user. The folder around the socket is closed to all others.
    await chmod(path, 0o666);
    return proxy;
  }

  private constructor(dialer: Dialer) {
    this.#dialer = dialer;
    this.#server = createServer({
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: dialer.headMs,
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(CHECK_MS, dialer.headMs),
    });
    this.#server.timeout = dialer.idleMs;
    this.#server.maxConnections = 2 * MAX_CONNECTIONS;
    this.#server.on("connection", (socket: Socket) => this.#keep(socket));
    this.#server.on("request", (request, response) => void this.#forward(request, response));
    this.#server.on("connect", (request, socket, head) => void this.#tunnel(request, socket, head));
  }

  /** Ends every connection of the session. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Ends with the proxy, and cannot fail without a listener. */
  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#sockets.delete(socket));
  }

  async #tunnel(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    try {
      const { upstream } = await this.#dial(parseAuthority(request.url ?? ""), socket);
      upstream.once("close", () => {
        // After an orderly end, `pipe` has ended the other side, which may still have to send what it holds.
        if (!upstream.readableEnded) socket.destroy();
      });
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      if (head.length > 0) upstream.write(head);
      socket.pipe(upstream);
      upstream.pipe(socket);
    } catch (error) {
      const { status, message } = refusalOf(error);
      const text = `${message}.\n`;
      const head = [
        `HTTP/1.1 ${status} ${message}`,
        "Content-Type: text/plain",
        `Content-Length: ${Buffer.byteLength(text)}`,
        "Connection: close",
      ];
      socket.end(`${head.join("\r\n")}\r\n\r\n${text}`);
    }
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { upstream, target } = await this.#dial(parseHttpUrl(request.url ?? ""), request.socket);
      try {
        await pass(request, response, upstream, target);
      } finally {
        upstream.destroy();
      }
    } catch (error) {
      if (response.headersSent) {
        // The session must not take a part for the whole.
        request.socket.destroy();
        return;
      }
      const { status, message } = refusalOf(error);
      // The rest of the request is not read.
      response.writeHead(status, message, { "content-type": "text/plain", connection: "close" });
      response.end(`${message}.\n`);
    }
  }

  /** A connection to the target, which ends when that of the session does. @throws EgressRefusal, AbortError */
  async #dial<T extends Target>(target: T | null, socket: Duplex): Promise<{ upstream: Socket; target: T }> {
    const { hooks, idleMs } = this.#dialer;
    const gone = new AbortController();
    const leave = () => gone.abort();
    socket.once("close", leave);
    this.#upstreams += 1;
    let isOpen = false;
    try {
      if (socket.destroyed) leave();
      const isFull = this.#sockets.size > MAX_CONNECTIONS;
      // One connection can send many requests at a time. Node stops reading such a connection, so its end would not be noticed.
      if (!isFull && this.#upstreams > MAX_CONNECTIONS) socket.destroy();
      if (isFull || socket.destroyed) {
        throw new EgressRefusal(503, "limited", `The session has more than ${MAX_CONNECTIONS} connections`);
      }
      if (target === null) throw new EgressRefusal(400, "limited", "This is a proxy for http and https addresses");
      const upstream = await this.#dialer.dial(target, gone.signal);
      hooks.ended?.("allowed");
      const end = () => upstream.destroy();
      socket.once("close", end);
      upstream.setTimeout(idleMs, end);
      isOpen = true;
      upstream.once("close", () => {
        this.#upstreams -= 1;
        socket.off("close", end);
        hooks.moved?.(upstream.bytesWritten, upstream.bytesRead);
      });
      return { upstream, target };
    } catch (error) {
      hooks.ended?.(error instanceof EgressRefusal ? error.outcome : "failed");
      throw error;
    } finally {
      if (!isOpen) this.#upstreams -= 1;
      socket.off("close", leave);
    }
  }
}

/** Sends a request on and its answer back. @throws Error if there is no answer, or a part of one. */
async function pass(
  request: IncomingMessage,
  response: ServerResponse,
  upstream: Socket,
  target: Target & { path: string },
): Promise<void> {
  const { method } = request;
  // The host of the request's own header is not passed on: it could name another one.
  const headers = endToEnd(request.rawHeaders, ["host"]);
  headers.push("Host", authorityOf(target).replace(/:80$/, ""), "Connection", "close");
  // Without it, the body of a DELETE would be sent without a frame.
  if (request.headers["transfer-encoding"] !== undefined) headers.push("Transfer-Encoding", "chunked");
  const outgoing = requestHttp({
    createConnection: () => upstream,
    ...(method === undefined ? {} : { method }),
    path: target.path,
    headers: headers as readonly string[],
    setHost: false,
    maxHeaderSize: MAX_HEAD_BYTES,
  });
  const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
  outgoing.on("error", ignoreLateError);
  request.pipe(outgoing);
  const [answer] = await answered;
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders, []));
  await pipeline(answer, response);
}

/** What breaks off before the answer is told by the wait for it, and afterwards by the answer itself. */
function ignoreLateError(): void {
  return;
}

/** The headers that are for the other end, as Node takes them: names and values in turn. */
function endToEnd(rawHeaders: readonly string[], without: readonly string[]): string[] {
  const pairs = rawHeaders.flatMap((name, at): [string, string][] =>
    at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? ""]] : [],
  );
  const named = pairs
    .filter(([name]) => name.toLowerCase() === "connection")
    .flatMap(([, value]) => value.split(",").map((each) => each.trim().toLowerCase()));
  const dropped = new Set([...OF_A_CONNECTION, ...named, ...without]);
  return pairs.filter(([name]) => !dropped.has(name.toLowerCase())).flat();
}

function refusalOf(error: unknown): Pick<EgressRefusal, "status" | "message"> {
  if (error instanceof EgressRefusal) return error;
  return { status: 502, message: "The connection broke off" };
}
