/** Owns the requests to the package index. An installer in a sandbox names an address; only addresses of the index are asked. */

/** Headers of an installer's request that the index gets. */
const PASSED_ON = ["accept", "range", "if-none-match", "if-modified-since", "cache-control"];
/** Headers of an answer that an installer gets. */
const PASSED_BACK = [
  "content-type",
  "content-length",
  "content-range",
  "accept-ranges",
  "etag",
  "last-modified",
  "date",
];
/** A page that lists the files of one package. Links in it may have to be rewritten, so it is read whole. */
const PAGE = /^(text\/html|application\/vnd\.pypi\.simple\.)/;
/** What stands between the scheme of an address and its host. */
const CREDENTIALS = /(https?:\/\/)[^/?#@\s"'<>]*@/gi;
const MAX_PAGE_BYTES = 64 * 1024 * 1024;

export interface PackageIndexSettings {
  /** Where the index's pages are, for example `https://pypi.org/simple`. It may have credentials, which no session sees. */
  url: string;
  /** Further hosts that have files of the index, `host` or `host:port`; asked by the same scheme. */
  fileHosts: readonly string[];
  /** How long the index may send nothing. */
  silenceMs: number;
  /** How long one installation may take. */
  installMs: number;
  /** How long bringing packages back may take, when a stored state is loaded. */
  restoreMs: number;
}

export interface IndexRequest {
  method: "GET" | "HEAD";
  url: string;
  headers: Readonly<Record<string, string>>;
}

export interface IndexAnswer {
  status: number;
  headers: Record<string, string>;
  /** Why the index gave no answer; an installer shows it. */
  problem: string | null;
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export class PackageIndex {
  readonly settings: PackageIndexSettings;
  readonly #scheme: string;
  readonly #authorization: string | null;
  /** Hosts that may be asked. */
  readonly hosts: readonly string[];
  /** The index as installers name it: always by http, since the runner speaks TLS for them, and without credentials. */
  readonly shownUrl: string;

  constructor(settings: PackageIndexSettings) {
    this.settings = settings;
    const url = new URL(settings.url);
    this.#scheme = url.protocol;
    const { username, password } = url;
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    this.#authorization = username || password ? `Basic ${Buffer.from(credentials).toString("base64")}` : null;
    this.hosts = [url.host, ...settings.fileHosts];
    this.shownUrl = `http://${url.host}${url.pathname}`;
  }

  /** Asks the index. It never rejects: what goes wrong before the body is an answer with a status of its own. */
  async ask(request: IndexRequest, signal: AbortSignal): Promise<IndexAnswer> {
    const url = parseUrl(request.url);
    if (url === null || !this.hosts.includes(url.host)) {
      return refusal(403, `${url?.host ?? "That address"} is not the package index of this service.`);
    }
    url.protocol = this.#scheme;
    const silence = new Silence(this.settings.silenceMs, signal);
    try {
      const headers = new Headers({ "accept-encoding": "identity", "user-agent": "pyrepl3" });
      for (const name of PASSED_ON) if (request.headers[name] !== undefined) headers.set(name, request.headers[name]);
      if (this.#authorization !== null && url.host === this.hosts[0]) headers.set("authorization", this.#authorization);
      const answer = await fetch(url, { method: request.method, headers, redirect: "manual", signal: silence.signal });
      silence.note();
      return await this.#answerOf(answer, silence);
    } catch (error) {
      const isSilent = silence.isOver;
      silence.end();
      if (isSilent) return refusal(504, this.#silent());
      return refusal(502, `The package index cannot be reached (${reasonOf(error)}).`);
    }
  }

  async #answerOf(answer: Response, silence: Silence): Promise<IndexAnswer> {
    const headers: Record<string, string> = {};
    for (const name of PASSED_BACK) {
      const value = answer.headers.get(name);
      if (value !== null) headers[name] = value;
    }
    // The body arrives decoded, so its announced length is another one.
    if (answer.headers.has("content-encoding")) delete headers["content-length"];
    const location = answer.headers.get("location");
    if (location !== null) headers.location = this.#shown(new URL(location, answer.url).href);
    const isPage = PAGE.test(headers["content-type"] ?? "") && answer.body !== null;
    const problem = problemOf(answer.status);
    if (!isPage) return { status: answer.status, headers, problem, body: this.#bodyOf(answer, silence) };
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.#bodyOf(answer, silence)) {
      size += piece.byteLength;
      if (size > MAX_PAGE_BYTES) throw new Error("a page is too long");
      pieces.push(piece);
    }
    const page = Buffer.from(this.#shown(Buffer.concat(pieces).toString("utf8")));
    headers["content-length"] = String(page.byteLength);
    return { status: answer.status, headers, problem, body: [page] };
  }

  /** The text with each address of the index as installers name it. Some indexes write the caller's credentials into their links. */
  #shown(text: string): string {
    const withoutCredentials = text.replace(CREDENTIALS, "$1");
    if (this.#scheme !== "https:") return withoutCredentials;
    return this.hosts.reduce(
      (shown, host) => shown.replaceAll(`https://${host}/`, `http://${host}/`),
      withoutCredentials,
    );
  }

  /** @throws Error if the answer breaks off. */
  async *#bodyOf(answer: Response, silence: Silence): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of answer.body ?? []) {
        silence.note();
        yield piece;
        // The reader may have been the slow one.
        silence.note();
      }
    } catch (error) {
      throw new Error(
        silence.isOver ? this.#silent() : `The connection to the package index broke (${reasonOf(error)}).`,
      );
    } finally {
      silence.end();
    }
  }

  #silent(): string {
    return `The package index did not answer within ${this.settings.silenceMs / 1000} s.`;
  }
}

/** Aborts a request to which nothing comes for a while. */
class Silence {
  readonly #controller = new AbortController();
  readonly #limitMs: number;
  readonly #caller: AbortSignal;
  readonly #abort = () => this.#controller.abort();
  #timer: NodeJS.Timeout;
  isOver = false;

  constructor(limitMs: number, caller: AbortSignal) {
    this.#limitMs = limitMs;
    this.#caller = caller;
    this.#timer = this.#start();
    if (caller.aborted) this.#abort();
    caller.addEventListener("abort", this.#abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  note(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener("abort", this.#abort);
  }

  #start(): NodeJS.Timeout {
    return setTimeout(() => {
      this.isOver = true;
      this.#abort();
    }, this.#limitMs);
  }
}

/** Why an answer with this status is of no use, whatever is asked for; null if it may be. */
function problemOf(status: number): string | null {
  if (status === 401) return "The package index does not accept the credentials of this service (401).";
  return status >= 500 ? `The package index answered ${status}.` : null;
}

function refusal(status: number, problem: string): IndexAnswer {
  return { status, headers: { "content-length": "0" }, problem, body: [] };
}

function parseUrl(text: string): URL | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url?.protocol === "http:" && !url.username && !url.password ? url : null;
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
  return cause?.code ?? cause?.message ?? message;
}
