/** Owns the decision whether an address is public: no service of this machine, its neighbours or its cloud is behind a public address. */
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/** IANA's registry of special addresses (RFC 6890): all that are not globally reachable, and multicast, reserved and old relay addresses. */
const SPECIAL_IPV4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  // Azure's metadata service has a public address that leads to the host (learn.microsoft.com, "What is IP address 168.63.129.16?").
  "168.63.129.16/32",
];

/** The only block from which public IPv6 addresses are given out. Mapped IPv4, NAT64, local and multicast addresses are outside of it. */
const GLOBAL_IPV6 = "2000::/3";
/** Inside of it: protocols (Teredo among them), documentation, and 6to4, which holds an IPv4 address. */
const SPECIAL_IPV6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

const special = blockListOf(SPECIAL_IPV4, "ipv4");
const specialOfIpv6 = blockListOf(SPECIAL_IPV6, "ipv6");
const globalIpv6 = blockListOf([GLOBAL_IPV6], "ipv6");

/** Says whether an IP address is public, and none of this machine's own. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, "ipv4") && !isOwn(address, "ipv4");
  if (!isIPv6(address) || address.includes("%")) return false;
  return globalIpv6.check(address, "ipv6") && !specialOfIpv6.check(address, "ipv6") && !isOwn(address, "ipv6");
}

function isOwn(address: string, family: "ipv4" | "ipv6"): boolean {
  const own = new BlockList();
  for (const each of Object.values(networkInterfaces()).flat()) {
    if (each?.family.toLowerCase() === family) own.addAddress(each.address, family);
  }
  return own.check(address, family);
}

function blockListOf(ranges: readonly string[], family: "ipv4" | "ipv6"): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = "", length = ""] = range.split("/");
    list.addSubnet(network, Number(length), family);
  }
  return list;
}
