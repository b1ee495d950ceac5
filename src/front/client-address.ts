/** Owns the address by which a caller is counted: the address in a trusted header, or for IPv6 its network. */
import type { Settings } from "../env.ts";

const MAX_ADDRESS_CHARS = 64;
/** A holder of IPv6 has a network of 2^64 addresses. */
const IPV6_NETWORK_GROUPS = 4;
const IPV6_GROUPS = 8;

/** The caller's address; empty if no header is trusted, or if this request does not have it. */
export function addressOf(request: Request, { CLIENT_ADDRESS_HEADER }: Settings): string {
  if (CLIENT_ADDRESS_HEADER === undefined) return "";
  // A proxy adds the address that it sees at the end. What stands before comes from the caller.
  const last = (request.headers.get(CLIENT_ADDRESS_HEADER) ?? "").split(",").at(-1) ?? "";
  return networkOf(last.trim().toLowerCase().slice(0, MAX_ADDRESS_CHARS));
}

/** An IPv4 address, also as IPv6 servers write it, with the port that some proxies add. */
const IPV4 = /^(?:\[?::ffff:)?(\d+\.\d+\.\d+\.\d+)\]?(?::\d+)?$/;

function networkOf(address: string): string {
  const ipv4 = IPV4.exec(address)?.[1];
  if (ipv4 !== undefined) return ipv4;
  const text = address.replace(/^\[|\](:\d+)?$/g, "");
  if (!text.includes("::") && text.split(":").length !== IPV6_GROUPS) return text;
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const before = groups(head);
  const after = groups(tail ?? "");
  const zeros = Array.from({ length: Math.max(0, IPV6_GROUPS - before.length - after.length) }, () => "0");
  const all = [...before, ...zeros, ...after].map((group) => group.replace(/^0+(?=.)/, ""));
  return `${all.slice(0, IPV6_NETWORK_GROUPS).join(":")}::/64`;
}
