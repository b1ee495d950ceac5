/** Owns the network of a sandbox if it is switched on: slirp4netns outside, and routes inside that do not reach the runner. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { dirname } from "node:path";
import { NETWORK_FD } from "./descriptors.ts";
import { quote } from "./shell.ts";

/** slirp4netns's own resolver, which asks the host's. */
export const NAMESERVER = "10.0.2.3";

const READY_FD = 3;
const LIFE_FD = 4;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const TUN = "/dev/net/tun";
/** Major and minor (Linux, Documentation/admin-guide/devices.txt). */
const TUN_NUMBERS = "10 200";
const TOOLS = ["slirp4netns", "ip", "setpriv", "unshare"];

/** Link-local (cloud metadata), private and carrier networks, multicast: RFC 6890, sections 2.2.2 and 2.2.3. */
const NOWHERE = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4"];

/**
 * The command that the keeper's own is put behind: it waits for the network, closes the ways that lead to the host and its
 * neighbours, and gives up the one capability that this took.
 */
export function networkSetup(): string[] {
  const attached = Object.values(networkInterfaces())
    .flat()
    .flatMap((address) => (address?.family === "IPv4" && !address.internal && address.cidr ? [address.cidr] : []));
  const script = [
    "set -e",
    `echo waiting >&${NETWORK_FD}`,
    `read -r go <&${NETWORK_FD}`,
    `exec ${NETWORK_FD}<&-`,
    ...new Set([...NOWHERE, ...attached.map(networkOf)].map((range) => `ip route replace blackhole ${quote(range)}`)),
    'exec setpriv --inh-caps=-all --ambient-caps=-all "$@"',
  ];
  return ["/bin/sh", "-c", script.join("\n"), "sh"];
}

/**
 * Connects the namespaces of a process to the host's network, as the session's user.
 *
 * @returns a function that ends the connection.
 * @throws Error where slirp4netns or iproute2 is not installed, or does not come up.
 */
export async function connectNetwork(pid: number, uid: number | null): Promise<() => void> {
  const missing = TOOLS.filter((tool) => !PATH.split(":").some((directory) => existsSync(`${directory}/${tool}`)));
  if (missing.length > 0) {
    throw new Error(`NETWORK=on needs ${missing.join(" and ")}: apt install slirp4netns iproute2 util-linux`);
  }
  const identity =
    uid === null ? [] : ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--inh-caps=-all"];
  const [command = "", ...args] = [
    ...(uid === null || isOpenToAll(TUN) ? [] : withTunOfItsOwn()),
    ...identity,
    ...["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", "--enable-seccomp"],
    ...[`--ready-fd=${READY_FD}`, `--exit-fd=${LIFE_FD}`, `--userns-path=/proc/${pid}/ns/user`, `${pid}`, "tap0"],
  ];
  // It ends when the last descriptor is closed, so also when the runner is killed.
  const slirp = spawn(command, args, { cwd: "/", env: { PATH }, stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
  let complaint = "";
  slirp.stderr?.on("data", (text: Buffer) => {
    complaint += text.toString();
  });
  const ended = new AbortController();
  slirp.once("exit", () => ended.abort());
  slirp.once("error", () => ended.abort());
  const ready = slirp.stdio[READY_FD];
  try {
    if (!ready) throw new Error("no descriptor");
    await once(ready, "data", { signal: ended.signal });
  } catch (cause) {
    throw new Error(`NETWORK=on: slirp4netns does not start: ${complaint.trim()}`, { cause });
  }
  return () => {
    slirp.kill("SIGKILL");
  };
}

function isOpenToAll(device: string): boolean {
  return existsSync(device) && (statSync(device).mode & 0o006) === 0o006;
}

/** On some machines only root may open the device: the session's user then gets a device that nobody else sees. It gives access to nothing by itself. */
function withTunOfItsOwn(): string[] {
  const script = [
    "set -e",
    `mkdir -p ${dirname(TUN)}`,
    `mount -t tmpfs -o mode=0755,noexec,nosuid pyrepl ${dirname(TUN)}`,
    `mknod -m 0666 ${TUN} c ${TUN_NUMBERS}`,
    'exec "$@"',
  ];
  return ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script.join("\n"), "sh"];
}

/** `192.0.2.7/24` as `192.0.2.0/24`: routes take no host's bits. */
function networkOf(cidr: string): string {
  const [address = "", length = "32"] = cidr.split("/");
  const bits = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(length));
  const network = Math.floor(bits / size) * size;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256).join(".")}/${length}`;
}
