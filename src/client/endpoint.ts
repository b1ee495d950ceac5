/** Owns where the service is and who calls it: addresses, headers and subprotocols of one client's session. */

/** What the SDK uses of a WebSocket; browsers', Node's, Workers' and that of `ws` are all of this shape. */
export interface SocketLike {
  readonly readyState: number;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "close" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => SocketLike;

export interface EndpointOptions {
  /** Where the service is, for example `https://python.example.org`. */
  url: string | URL;
  /** Who calls; without it the SDK makes a name that is hard to guess. */
  clientId?: string;
  /** Which of the client's Python states (default `default`). */
  session?: string;
  /** The bearer token, or a function that gives one; it is asked at each connection and call, so that it may renew the token. */
  token?: string | (() => string | Promise<string>);
  /** The W3C trace that the calls belong to, as a `traceparent`, or a function that gives that of the moment. */
  traceparent?: string | (() => string | undefined);
  /** Calls over HTTP (default: the runtime's own `fetch`). */
  fetch?: typeof fetch;
}

const API = "api/v1/";
const SOCKET = "ws/v1/session";
const SUBPROTOCOL = "pyrepl.v1";

/** Hard to guess: where authentication is off, knowing it is owning the session. */
function newClientId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Endpoint {
  readonly clientId: string;
  readonly session: string;
  readonly fetch: typeof fetch;
  readonly #options: EndpointOptions;
  readonly #base: URL;

  /** @throws TypeError where `url` is none. */
  constructor(options: EndpointOptions) {
    this.#options = options;
    this.clientId = options.clientId ?? newClientId();
    this.session = options.session ?? "default";
    // A browser's fetch refuses to be called as a method of anything but its window.
    this.fetch = options.fetch ?? ((input, init) => fetch(input, init));
    const base = new URL(options.url);
    base.protocol = base.protocol.replace("ws", "http");
    base.search = "";
    base.hash = "";
    base.pathname = base.pathname.replace(/(\/(ws\/v1\/session|api\/v1))?\/*$/, "/");
    this.#base = base;
  }

  /** The same client's other session. */
  inSession(session: string): Endpoint {
    return new Endpoint({ ...this.#options, clientId: this.clientId, session });
  }

  /** Address of a REST call; undefined fields of the query are left out. */
  restUrl(path: string, query: Record<string, string | number | boolean | undefined> = {}): URL {
    const url = new URL(`${API}${path}`, this.#base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }

  async headers(): Promise<Record<string, string>> {
    const { traceparent } = this;
    const token = await this.#token();
    return {
      "client-id": this.clientId,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    };
  }

  /** The trace that a call of this moment belongs to. */
  get traceparent(): string | undefined {
    const { traceparent } = this.#options;
    return typeof traceparent === "function" ? traceparent() : traceparent;
  }

  socketUrl(): string {
    const url = new URL(SOCKET, this.#base);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("client_id", this.clientId);
    url.searchParams.set("session", this.session);
    return url.href;
  }

  /** The token goes as a subprotocol: a browser cannot set headers on a WebSocket, and an address ends up in logs. */
  async subprotocols(): Promise<string[]> {
    const token = await this.#token();
    return token === "" ? [SUBPROTOCOL] : [SUBPROTOCOL, `pyrepl.bearer.${token}`];
  }

  async #token(): Promise<string> {
    const { token } = this.#options;
    return typeof token === "function" ? await token() : (token ?? "");
  }
}
