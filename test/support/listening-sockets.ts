/** Lists the sockets on which some processes listen, by /proc. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface ListeningSocket {
  kind: "tcp" | "udp" | "unix";
  /** `127.0.0.1:8787`, a path, or `@name` in the abstract namespace. */
  address: string;
}

/** State `LISTEN` of TCP; a UDP socket without a peer has `CLOSE`. */
const TCP_LISTEN = "0A";
const UDP_UNCONNECTED = "07";
/** `__SO_ACCEPTCON` */
const UNIX_ACCEPTS = 0x10000;

/** What the processes listen on, each socket once. */
export function listeningSockets(pids: readonly number[]): ListeningSocket[] {
  const inodes = new Set(pids.flatMap(socketInodes));
  const found: ListeningSocket[] = [];
  for (const [file, kind, state] of [
    ["tcp", "tcp", TCP_LISTEN],
    ["tcp6", "tcp", TCP_LISTEN],
    ["udp", "udp", UDP_UNCONNECTED],
    ["udp6", "udp", UDP_UNCONNECTED],
  ] as const) {
    for (const fields of rows(file)) {
      if (fields[3] === state && inodes.has(fields[9] ?? ""))
        found.push({ kind, address: readAddress(fields[1] ?? "") });
    }
  }
  for (const fields of rows("unix")) {
    const accepts = (Number.parseInt(fields[3] ?? "0", 16) & UNIX_ACCEPTS) !== 0;
    if (accepts && inodes.has(fields[6] ?? "")) found.push({ kind: "unix", address: fields.slice(7).join(" ") });
  }
  return found;
}

function rows(file: string): string[][] {
  const lines = readFileSync(`/proc/net/${file}`, "utf8").trim().split("\n").slice(1);
  return lines.map((line) => line.trim().split(/\s+/));
}

function socketInodes(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        // Closed between the two reads.
        return [];
      }
    });
  } catch {
    // The process ended.
    return [];
  }
}

/** IPv4 as dotted numbers; IPv6 as the kernel writes it. */
function readAddress(text: string): string {
  const [address = "", port = ""] = text.split(":");
  const bytes = address.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? [];
  return `${bytes.length === 4 ? bytes.reverse().join(".") : address}:${Number.parseInt(port, 16)}`;
}
