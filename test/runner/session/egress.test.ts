/** Proves that code in real sandboxes, of each kind, reaches by its usual libraries what EGRESS_ALLOW names, and nothing else. */
import { execFileSync } from "node:child_process";
import { globSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testPython } from "../../../scripts/python-tests.ts";
import type { CheckpointId } from "../../../src/protocol/identity.ts";
import { AllowList } from "../../../worker-runner/egress/allow-list.ts";
import type { EgressOutcome } from "../../../worker-runner/egress/dialer.ts";
import { Egress } from "../../../worker-runner/egress/egress.ts";
import type { SessionOptions } from "../../../worker-runner/index.ts";
import { startSandbox } from "../../../worker-runner/sandbox/bubblewrap.ts";
import { startLandlocked } from "../../../worker-runner/sandbox/landlock/landlocked.ts";
import type { StartSandbox } from "../../../worker-runner/sandbox/sandbox-contract.ts";
import { startUnsandboxed } from "../../../worker-runner/sandbox/unsandboxed.ts";
import { Zygotes } from "../../../worker-runner/sandbox/zygotes.ts";
import { TLS_IDENTITY } from "../../support/tls-identity.ts";
import { failure, result, run, startSession } from "../borrowed-session.ts";

const zygotes = new Zygotes();
const sockets = new Set<Socket>();
const answer: RequestListener = (request, response) => {
  // The connection of `/hang` stays as it is.
  if (request.url !== "/hang") response.end(`${request.method} ${request.url} ${request.headers.host}`);
};
const plain = createServer(answer);
const secure = createTlsServer(TLS_IDENTITY, answer);
const closed = createServer(answer);
/** Not 127.0.0.1, which code looks for on its own loopback (NO_PROXY). */
const HOST = "127.0.0.2";
const portOf = (server: Server) => (server.address() as AddressInfo).port;

beforeAll(async () => {
  for (const server of [plain, secure, closed]) {
    server.on("connection", (socket: Socket) => sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  }
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of [plain, secure, closed]) server.close();
  await zygotes.close();
});

async function start(start: StartSandbox, change: SessionOptions = {}) {
  const outcomes: EgressOutcome[] = [];
  const egress = new Egress({
    allow: new AllowList([`${HOST}:${portOf(plain)}`, `${HOST}:${portOf(secure)}`, "inside.example.org"]),
    resolve: async () => ["10.0.0.7"],
    hooks: { ended: (outcome) => outcomes.push(outcome) },
  });
  const session = await startSession({ startSandbox: start, python: testPython(), egress, ...change });
  return { outcomes, session };
}

const get = (port: number, path: string, more = "") =>
  `import urllib.request\nurllib.request.urlopen("http${port === portOf(secure) ? "s" : ""}://${HOST}:${port}${path}", timeout=30${more}).read().decode()`;

describe.each<[string, "bubblewrap" | "landlock", StartSandbox]>([
  ["bubblewrap", "bubblewrap", startSandbox],
  ["bubblewrap and a zygote", "bubblewrap", zygotes.into("bwrap").startForked],
  ["Landlock", "landlock", startLandlocked],
  ["Landlock and a zygote", "landlock", zygotes.into("landlock").startForked],
])("by %s", (_name, part, startSandbox) => {
  it("reaches what is allowed, by HTTP and HTTPS, and is told at once of what is not", { tags: part }, async () => {
    const { session, outcomes } = await start(startSandbox);
    expect((await result(session, get(portOf(plain), "/a?b=c"))).value).toBe(`GET /a?b=c ${HOST}:${portOf(plain)}`);
    const trusting = `import ssl\ntrust = ssl.create_default_context(cadata=${JSON.stringify(TLS_IDENTITY.cert)})\n`;
    const secured = await result(session, trusting + get(portOf(secure), "/s", ", context=trust"));
    expect(secured.value).toBe(`GET /s ${HOST}:${portOf(secure)}`);
    const printing = `${get(portOf(plain), "/child").replace("\n", "\nprint(")})`;
    const child = `import subprocess, sys\nsubprocess.check_output([sys.executable, "-c", ${JSON.stringify(printing)}], text=True)`;
    expect((await result(session, child)).value).toBe(`GET /child ${HOST}:${portOf(plain)}\n`);
    const asyncio = `
import asyncio
async def fetch():
    reader, writer = await asyncio.open_connection("127.0.0.1", 3128)
    writer.write(b"GET http://${HOST}:${portOf(plain)}/async HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    text = await reader.read()
    writer.close()
    return text.decode().splitlines()[-1]
await fetch()`;
    expect((await result(session, asyncio)).value).toBe(`GET /async ${HOST}:${portOf(plain)}`);
    expect(outcomes.splice(0)).toEqual(Array(4).fill("allowed"));
    const opened = async (url: string) =>
      (await failure(session, `urllib.request.urlopen("${url}", timeout=30)`)).exception_message;
    expect(await opened("http://other.example.org/")).toBe(
      "HTTP Error 403: EGRESS_ALLOW does not allow other.example.org:80",
    );
    expect(await opened(`http://${HOST}:${portOf(closed)}/`)).toContain(`does not allow ${HOST}:${portOf(closed)}`);
    expect(await opened("https://inside.example.org/")).toContain(
      "Tunnel connection failed: 403 EGRESS_ALLOW names inside.example.org:443, but its address is not public",
    );
    expect(outcomes).toEqual(["refused_name", "refused_name", "refused_address"]);
  });

  it("reaches nothing past the proxy", { tags: part }, async () => {
    const { session, outcomes } = await start(startSandbox);
    const attempts = `
import socket
def attempt(action, *arguments):
    try: return f"done: {action(*arguments)!r}"
    except OSError as error: return type(error).__name__
[attempt(socket.create_connection, (host, port), 5) for host, port in (("${HOST}", ${portOf(plain)}), ("127.0.0.1", ${portOf(plain)}), ("1.1.1.1", 443))] + [
 attempt(socket.create_connection, ("::1", 3128), 5), attempt(socket.getaddrinfo, "inside.example.org", 443)]`;
    const tried = (await result(session, attempts)).value as string[];
    expect(tried).toHaveLength(5);
    expect(tried.filter((each) => each.startsWith("done"))).toEqual([]);
    expect(outcomes).toEqual([]);
  });

  it("keeps its state through crashes, rollbacks, checkpoints and restores beside an open connection", {
    tags: part,
  }, async () => {
    const { session } = await start(startSandbox);
    const open = `
import http.client, os, signal
link = http.client.HTTPConnection("127.0.0.1", 3128, timeout=30)
link.request("GET", "http://${HOST}:${portOf(plain)}/open")
first = link.getresponse().read().decode()
kept = 7`;
    await result(session, open);
    const again = `link.request("GET", "http://${HOST}:${portOf(plain)}/again"); link.getresponse().read().decode()`;
    expect((await result(session, again)).value).toContain("/again");
    expect((await run(session, "kept = 8; 1 / 0", { transaction_policy: "rollback_on_failure" })).terminal.type).toBe(
      "error",
    );
    expect((await result(session, "kept")).value).toBe(7);
    expect(await failure(session, "os.kill(os.getpid(), signal.SIGKILL)")).toMatchObject({ state: "recovered" });
    const fresh = get(portOf(plain), "/fresh");
    expect((await result(session, fresh)).value).toContain("/fresh");
    const taken = await session.checkpoint("egress" as CheckpointId);
    const restored = await session.restore("egress" as CheckpointId, { blobPath: taken.blobPath });
    expect(restored.source).toMatch(/^(stored|snapshot|live)$/);
    expect((await result(session, "kept")).value).toBe(7);
    expect((await result(session, fresh)).value).toContain("/fresh");
    await session.reset();
    expect((await result(session, fresh)).value).toContain("/fresh");
  });

  it("serves no other user of the machine", { tags: part }, async () => {
    if (process.getuid?.() !== 0) return; // Another user cannot be become.
    const open = () => globSync(join(tmpdir(), "pyrepl3-session-*/*/channel/egress.sock"));
    const before = new Set(open());
    await start(startSandbox);
    const path = open().find((each) => !before.has(each));
    expect(path).toBeDefined();
    const connect = `
import os, socket
os.setgroups([]); os.setresgid(54321, 54321, 54321); os.setresuid(54321, 54321, 54321)
socket.socket(socket.AF_UNIX).connect(${JSON.stringify(path)})`;
    expect(() => execFileSync(testPython(), ["-c", connect], { stdio: "pipe" })).toThrow("PermissionError");
  });

  it("ends the connections of a session with it", { tags: part }, async () => {
    const { session } = await start(startSandbox);
    const arrived = new Promise<Socket>((resolve) => plain.once("connection", resolve));
    const hang = `import socket\nlink = socket.create_connection(("127.0.0.1", 3128), 30)\nlink.sendall(b"GET http://${HOST}:${portOf(plain)}/hang HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")`;
    await result(session, hang);
    const upstream = await arrived;
    const ended = new Promise((resolve) => upstream.once("close", resolve));
    await session.shutdown();
    await ended;
  });
});

it("is refused without a sandbox", async () => {
  await expect(start(startUnsandboxed)).rejects.toThrow("EGRESS_ALLOW needs a sandbox");
});
