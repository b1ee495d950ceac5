/** Owns the target of a request to the proxy: the host and port of `CONNECT host:port`, or of `GET http://host:port/path`. */
import { isIPv6 } from "node:net";
import { normalizeHost } from "./allow-list.ts";

const AUTHORITY = /^(?<host>\[[0-9A-Fa-f:.]+\]|[^:/?#@\s]+):(?<port>\d{1,5})$/;
const HTTP_PORT = 80;

export interface Target {
  /** As `normalizeHost` returns it. */
  host: string;
  port: number;
}

/** The target of a tunnel; null if the text is no `host:port`. */
export function parseAuthority(text: string): Target | null {
  const parts = AUTHORITY.exec(text)?.groups;
  const host = parts?.host === undefined ? null : normalizeHost(parts.host);
  const port = Number(parts?.port);
  return host === null || !(port >= 1 && port <= 65_535) ? null : { host, port };
}

/** The target of a plain request, and its path; null if the text is no http address. */
export function parseHttpUrl(text: string): (Target & { path: string }) | null {
  if (!/^http:\/\//i.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  const host = normalizeHost(url.hostname);
  if (host === null || url.username || url.password) return null;
  const port = url.port === "" ? HTTP_PORT : Number(url.port);
  return port === 0 ? null : { host, port, path: `${url.pathname}${url.search}` };
}

/** A target as it stands in a `Host` header and in messages. */
export function authorityOf({ host, port }: Target): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
