/** Owns EGRESS_ALLOW: which hosts and ports code in sessions may reach. `public-address.ts` decides whether an address is public. */
import { isIP } from "node:net";

/** The ports of an entry that names none. */
const WEB_PORTS = [80, 443];
const MAX_HOST_CHARACTERS = 253;
const LABELS = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
/** What would be another part of an address. */
const NO_HOST = /[/\\?#@]|^[^[].*:/;
const ENTRY = /^(?<wildcard>\*\.)?(?<host>\[[^\]]*\]|[^:/@\s]+)(:(?<port>\d{1,5}))?$/;

interface Entry {
  kind: "name" | "below" | "address";
  /** In lower case; an IPv6 address without brackets, as `URL` writes it. */
  host: string;
  ports: readonly number[];
}

/** An entry that cannot be understood. The message names it. */
export class WrongEntry extends Error {
  override name = "WrongEntry";
}

/** `name`: the addresses of the name must be public. `address`: the operator has named this very address, so it may be private. */
export type Permission = "name" | "address";

export class AllowList {
  /** The entries as the operator wrote them. */
  readonly entries: readonly string[];
  readonly #parsed: readonly Entry[];

  /** @throws WrongEntry */
  constructor(entries: readonly string[]) {
    this.entries = entries;
    this.#parsed = entries.map(parseEntry);
  }

  /** Says whether a host and port may be reached, and by which kind of entry. The host is as `normalizeHost` returns it. */
  permits(host: string, port: number): Permission | null {
    const entry = this.#parsed.find((each) => each.ports.includes(port) && matches(each, host));
    if (entry === undefined) return null;
    return entry.kind === "address" ? "address" : "name";
  }
}

/** A host as URLs write it, in lower case and without brackets or a last dot; null if it is no host. */
export function normalizeHost(text: string): string | null {
  if (NO_HOST.test(text) || !URL.canParse(`http://${text}/`)) return null;
  const host = new URL(`http://${text}/`).hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const isHost = isIP(host) !== 0 || (LABELS.test(host) && host.length <= MAX_HOST_CHARACTERS);
  return isHost ? host : null;
}

function matches(entry: Entry, host: string): boolean {
  return entry.kind === "below" ? isIP(host) === 0 && host.endsWith(`.${entry.host}`) : host === entry.host;
}

function parseEntry(text: string): Entry {
  const parts = ENTRY.exec(text)?.groups;
  if (parts === undefined) throw wrong(text, "write example.org, *.example.org or example.org:8443");
  const host = normalizeHost(parts.host ?? "");
  if (host === null) throw wrong(text, "it names no host");
  const port = parts.port === undefined ? null : Number(parts.port);
  if (port !== null && (port < 1 || port > 65_535)) throw wrong(text, "a port is a number from 1 to 65535");
  const isAddress = isIP(host) !== 0;
  if (isAddress && port === null) throw wrong(text, "an address must name its port, for example 192.0.2.7:8443");
  if (parts.wildcard !== undefined && (isAddress || !host.includes("."))) {
    throw wrong(text, "after *. at least two labels must follow, for example *.example.org");
  }
  const kind = isAddress ? "address" : parts.wildcard === undefined ? "name" : "below";
  return { kind, host, ports: port === null ? WEB_PORTS : [port] };
}

function wrong(text: string, remedy: string): WrongEntry {
  return new WrongEntry(`has the entry "${text}", which cannot be understood: ${remedy}`);
}
