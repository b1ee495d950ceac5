// Runs the bare counterparts of the service: a pipe to Python, a Durable Object that echoes, a relay through all hops.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Miniflare } from "miniflare";
import WebSocket from "ws";
import { testPython } from "../../scripts/python-tests.ts";
import { time } from "./measure.ts";

const here = (file: string) => new URL(file, import.meta.url).pathname;
const python = testPython();
const request = JSON.stringify({ type: "execute", id: "00000000-0000-4000-8000-000000000000", code: "1" });

export interface Baselines {
  /** Round trips of one frame over WebSocket → Durable Object → WebSocket → Node → pipe → Python and back. */
  relayRoundTrips(count: number): Promise<number[]>;
  /** Round trips of one frame over WebSocket → Durable Object and back. */
  echoRoundTrips(count: number): Promise<number[]>;
  /** Milliseconds that the relay takes for `bytes` of Python's output in 64 KiB pieces. */
  relayBulk(bytes: number): Promise<number>;
  close(): Promise<void>;
}

async function roundTrip(socket: WebSocket): Promise<void> {
  socket.send(request);
  await once(socket, "message");
}

export async function startBaselines(): Promise<Baselines> {
  const relay = spawn(process.execPath, [here("relay-node.ts")], {
    env: { ...process.env, PYTHON: python },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [port] = (await once(createInterface({ input: relay.stdout }), "line")) as [string];
  const miniflare = new Miniflare({
    modules: [{ type: "ESModule", path: "relay-worker.mjs", contents: readFileSync(here("relay-worker.mjs"), "utf8") }],
    compatibilityDate: "2026-07-30",
    durableObjects: { RELAY: { className: "Relay", useSQLite: true } },
    bindings: { UPSTREAM: `http://127.0.0.1:${port}/` },
  });
  const origin = (await miniflare.ready).href.replace("http", "ws");
  const open = async (path: string) => {
    const socket = new WebSocket(new URL(path, origin), { maxPayload: 1 << 27, perMessageDeflate: false });
    await once(socket, "open");
    return socket;
  };
  const relaySocket = await open("relay");
  const echoSocket = await open("echo");
  return {
    relayRoundTrips: (count) => time(count, () => roundTrip(relaySocket)),
    echoRoundTrips: (count) => time(count, () => roundTrip(echoSocket)),
    relayBulk(bytes) {
      const startedAt = performance.now();
      return new Promise((resolve) => {
        let received = 0;
        relaySocket.on("message", function count(frame: Buffer) {
          const message = JSON.parse(frame.toString());
          if (message.type === "output") received += message.data.data.length;
          if (message.type !== "result") return;
          relaySocket.off("message", count);
          if (received !== bytes) throw new Error(`the relay lost output: ${received} of ${bytes} bytes`);
          resolve(performance.now() - startedAt);
        });
        relaySocket.send(JSON.stringify({ bulk: bytes }));
      });
    },
    async close() {
      relaySocket.terminate();
      echoSocket.terminate();
      await miniflare.dispose();
      relay.stdin.end();
      await once(relay, "exit");
    },
  };
}

/** Round trips of one line over a pipe to Python and back. */
export async function pipeRoundTrips(count: number): Promise<number[]> {
  const child = spawn(python, [here("bare_python.py")], { stdio: ["pipe", "pipe", "inherit"] });
  const roundTripOverPipe = async () => {
    child.stdin.write(`${request}\n`);
    await once(child.stdout, "data");
  };
  await time(Math.min(count, 200), roundTripOverPipe);
  const samples = await time(count, roundTripOverPipe);
  await end(child);
  return samples;
}

/** Milliseconds that Python takes to print `lines` lines of `bytes` bytes each into a pipe that is read at once. */
export async function pipeLines(lines: number, bytes: number): Promise<number> {
  const code = `line = "x" * ${bytes - 1}\nfor _ in range(${lines}): print(line)`;
  const child = spawn(python, ["-c", code], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "readable");
  const startedAt = performance.now();
  child.stdout.resume();
  await once(child.stdout, "end");
  return performance.now() - startedAt;
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  await once(child, "exit");
}
