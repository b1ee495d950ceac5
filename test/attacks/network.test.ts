/** Owns the proof that a session reaches no network, and with one neither the runner, nor the host, nor link-local addresses. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { Session } from "../../worker-runner/session/session.ts";
import { SessionError } from "../../worker-runner/session/session-error.ts";
import { isHere } from "../support/needs.ts";
import { Arena } from "./arena.ts";
import { egressAttacks } from "./catalogue/egress.ts";
import { findGrades } from "./grade.ts";
import { assertFailed, printedBy, resultOf, run } from "./outcome.ts";

/** What the runner, or anything else of the host's, listens on. */
const servers: Server[] = [];
let tcpPort = 0;
const abstractName = `\0pyrepl3-attacks-${process.pid}`;
const ownAddresses = Object.values(networkInterfaces())
  .flat()
  .flatMap((address) => (address && !address.internal && address.family === "IPv4" ? [address.address] : []));

beforeAll(async () => {
  const tcp = createServer((socket) => socket.end("the host answers"));
  tcp.listen(0, "0.0.0.0");
  const abstract = createServer((socket) => socket.end("the host answers"));
  abstract.listen(abstractName);
  servers.push(tcp, abstract);
  await Promise.all(servers.map((server) => once(server, "listening")));
  const address = tcp.address();
  tcpPort = typeof address === "object" && address ? address.port : 0;
});

afterAll(async () => {
  for (const server of servers) server.close();
});

/** Connects to each address and port; prints those that answer. */
function knock(addresses: readonly string[], ports: readonly number[]): string {
  return `
import socket
for host in ${JSON.stringify(addresses)}:
    for port in ${JSON.stringify(ports)}:
        for kind in (socket.SOCK_STREAM,):
            try:
                with socket.create_connection((host, port), 1) as connection:
                    print("reached", host, port)
            except OSError:
                pass
for name in (${JSON.stringify(abstractName)}, "\\0/tmp/dbus", "\\0/tmp/.X11-unix/X0"):
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(name)
            print("reached", name)
    except OSError:
        pass
for family, kind, protocol in ((40, 1, 0), (17, 3, 768), (2, 3, 1), (2, 1, 132), (16, 3, 9), (38, 5, 0), (31, 5, 0), (29, 3, 1)):
    try:
        socket.socket(family, kind, protocol)
        print("opened", family, kind, protocol)
    except OSError:
        pass
print("done")`;
}

const nearby = () => [
  "127.0.0.1",
  "127.1.2.3",
  "0.0.0.0",
  "10.0.2.2",
  "169.254.169.254",
  "169.254.1.1",
  "::1",
  ...ownAddresses,
];

async function reachesNothingNear(session: Session): Promise<void> {
  const outcome = await run(session, knock(nearby(), [tcpPort, 80, 22]), 60);
  assert.equal(printedBy(outcome), "done\n");
}

describe.each(await findGrades())("by $kind", (grade) => {
  const arena = new Arena(grade);
  afterAll(() => arena.close());

  describe("without a network", () => {
    it("reaches neither the host nor anybody else", async () => {
      const session = await arena.start();
      await reachesNothingNear(session);
      const outcome = await run(session, knock(["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111"], [53, 80, 443]), 60);
      assert.equal(printedBy(outcome), "done\n");
      if (grade.kind === "bwrap") {
        const interfaces = await run(session, "import socket; [name for _, name in socket.if_nameindex()]");
        assert.deepEqual(resultOf(interfaces), ["lo"]);
      }
      await session.shutdown();
    });

    it("keeps the loopback of one session from another, or gives none", async () => {
      if (grade.kind === "landlock") {
        const session = await arena.start();
        const tried = await run(session, "import socket; socket.create_server(('127.0.0.1', 0))");
        assertFailed(tried, "exception", "PermissionError");
        await session.shutdown();
        return;
      }
      const [first, second] = await Promise.all([arena.start(), arena.start()]);
      const listen = "import socket; server = socket.create_server(('127.0.0.1', 0)); server.getsockname()[1]";
      const port = Number(resultOf(await run(first, listen)));
      const own = await run(first, `socket.create_connection(("127.0.0.1", ${port})).getpeername()[1]`);
      assert.equal(resultOf(own), port);
      assert.equal(printedBy(await run(second, knock(["127.0.0.1"], [port]))), "done\n");
      await Promise.all([first.shutdown(), second.shutdown()]);
    });
  });

  describe("with a proxy for EGRESS_ALLOW", () => {
    it.each(egressAttacks)("$name", async (attack) => {
      await arena.run(attack);
    });
  });

  describe("with a network", () => {
    it("is refused with its remedy where slirp4netns is not installed, and otherwise reaches nothing near", async () => {
      if (grade.kind === "landlock") {
        await assert.rejects(arena.start({ network: "on" }), /NETWORK=on needs bubblewrap/);
        return;
      }
      if (!isHere("network")) {
        await assert.rejects(arena.start({ network: "on" }), (error: SessionError) => {
          assert.match(error.message, /NETWORK=on needs slirp4netns.*apt install/);
          return error instanceof SessionError;
        });
        return;
      }
      const session = await arena.start({ network: "on" });
      await reachesNothingNear(session);
      const interfaces = await run(session, "import socket; sorted(name for _, name in socket.if_nameindex())");
      assert.deepEqual(resultOf(interfaces), ["lo", "tap0"]);
      const routes = `
import subprocess
print([subprocess.run(["ip", *change.split()], capture_output=True).returncode for change in (
    "route del blackhole 169.254.0.0/16", "route add 169.254.169.254/32 dev tap0", "link set tap0 down", "addr add 10.0.2.9/24 dev tap0",
)])
print({line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff", "CapAmb", "CapInh"))})`;
      const [changes, capabilities] = printedBy(await run(session, routes)).split("\n");
      assert.doesNotMatch(changes ?? "", /\b0\b/);
      assert.equal(capabilities, "{'0000000000000000'}");
      await session.shutdown();
    });
  });

  describe("sockets that have a path", () => {
    it("are out of reach, also those that are open to all", async () => {
      const folder = mkdtempSync("/var/tmp/pyrepl3-sockets-");
      chmodSync(folder, 0o777);
      const path = join(folder, "open.sock");
      const server = createServer((socket) => socket.end("the host answers"));
      server.listen(path);
      await once(server, "listening");
      chmodSync(path, 0o777);
      const session = await arena.start();
      const tried = await run(
        session,
        `
import ctypes, socket, struct
def attempt(action, *arguments):
    try: return f"done: {action(*arguments)!r:.80}"
    except Exception as error: return type(error).__name__
libc = ctypes.CDLL(None, use_errno=True)
address = struct.pack("H108s", 1, ${JSON.stringify(path)}.encode())
def by_new_socket(kind):
    with socket.socket(socket.AF_UNIX, kind) as client: client.connect(${JSON.stringify(path)})
def by_pair():
    pair = socket.socketpair(); pair[1].close()
    if libc.connect(pair[0].fileno(), address, len(address)) < 0: raise OSError(ctypes.get_errno(), "connect")
def by_message():
    pair = socket.socketpair(); pair[0].sendto(b"x", ${JSON.stringify(path)})
def by_shared_end():
    # The descriptor by which the session's own processes call their warden.
    for fd in range(3, 64):
        if libc.sendto(fd, b"x", 1, 0, address, len(address)) == 1 and libc.connect(fd, address, len(address)) == 0: return fd
    raise OSError("no way")
print({attempt(by_new_socket, kind) for kind in (1, 2, 5)}, attempt(by_pair), attempt(by_message), attempt(by_shared_end))`,
      );
      assert.doesNotMatch(printedBy(tried), /done/);
      await session.shutdown();
      server.close();
      rmSync(folder, { recursive: true });
    });
  });
});
