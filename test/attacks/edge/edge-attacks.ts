/** Owns the attacks of one client on the edge's one thread, each within the client's rate of messages. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import type { Product } from "../../support/product.ts";
import { SocketClient } from "../../support/socket-client.ts";

const MIB = 1024 * 1024;

/** How often each answer came: statuses of calls, codes of problems, closed sockets. */
export type Answers = Record<string, number>;

export interface EdgeAttack {
  name: string;
  /** What is not yet the attack. */
  prepare?(product: Product, clientId: string): Promise<void>;
  /** Goes on for about `seconds`. */
  run(product: Product, clientId: string, seconds: number): Promise<Answers>;
}

class Counter {
  readonly answers: Answers = {};
  add(what: string | number): void {
    this.answers[what] = (this.answers[what] ?? 0) + 1;
  }
  addTo(what: string, amount: number): void {
    this.answers[what] = (this.answers[what] ?? 0) + amount;
  }
}

/** Runs code of this client and waits for its end. */
async function runCode(product: Product, clientId: string, id: string, code: string): Promise<void> {
  const client = await SocketClient.open(product.socketUrl, { clientId, checked: false });
  await client.run(code, { id });
  await client.close();
}

const PRINT_14_MB = "line = 'x' * 1023\nfor _ in range(14 * 1024): print(line)";

/** A socket that counts what comes and reads none of it. */
async function openDeafSocket(product: Product, clientId: string, counter: Counter): Promise<WebSocket | null> {
  const socket = new WebSocket(`${product.socketUrl}?client_id=${clientId}`, { perMessageDeflate: false });
  return new Promise((resolve) => {
    socket.once("open", () => resolve(socket));
    socket.on("unexpected-response", (_request, response) => {
      counter.add(response.statusCode ?? 0);
      response.resume();
      resolve(null);
    });
    socket.on("error", () => resolve(null));
    socket.on("close", (code) => counter.add(`closed ${code}`));
  });
}

function countProblems(socket: WebSocket, counter: Counter): void {
  socket.on("message", (raw: Buffer) => {
    counter.addTo("bytes", raw.length);
    const text = raw.toString("utf8", 0, 40);
    if (!text.startsWith('{"type":"problem"')) return;
    const { data } = JSON.parse(raw.toString()) as { data: { code: string } };
    counter.add(data.code);
  });
}

/** Ends the socket. Its end is counted when this resolves. */
async function end(socket: WebSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return;
  const closed = once(socket, "close");
  socket.terminate();
  await closed;
}

/** Repeats `act` `perSecond` times a second, for `seconds`. */
async function repeat(perSecond: number, seconds: number, act: () => void): Promise<void> {
  const startedAt = performance.now();
  for (let turn = 0; turn < perSecond * seconds; turn += 1) {
    act();
    await sleep(Math.max(0, startedAt + ((turn + 1) * 1000) / perSecond - performance.now()));
  }
}

export const edgeAttacks: readonly EdgeAttack[] = [
  {
    name: "14 MB of output, then GET /executions/{id} 45 times a second",
    prepare: (product, clientId) => runCode(product, clientId, "large", PRINT_14_MB),
    async run(product, clientId, seconds) {
      const counter = new Counter();
      const calls: Promise<void>[] = [];
      await repeat(45, seconds, () => {
        const call = async () => {
          const answer = await fetch(`${product.url}/api/v1/executions/large`, { headers: { "client-id": clientId } });
          counter.add(answer.status);
          counter.addTo("bytes", (await answer.arrayBuffer()).byteLength);
        };
        calls.push(call());
      });
      await Promise.all(calls);
      return counter.answers;
    },
  },
  {
    name: "attach from 0 with a window of 1 GiB 86 times",
    prepare: (product, clientId) => runCode(product, clientId, "large", PRINT_14_MB),
    async run(product, clientId, seconds) {
      const counter = new Counter();
      const socket = await openDeafSocket(product, clientId, counter);
      if (socket === null) return counter.answers;
      countProblems(socket, counter);
      for (let turn = 0; turn < 86; turn += 1) {
        socket.send(JSON.stringify({ type: "attach", after: 0, window: 1024 * MIB }));
      }
      await sleep(seconds * 1000);
      socket.terminate();
      return counter.answers;
    },
  },
  {
    name: "300 sockets of one client on one loop of prints",
    async run(product, clientId, seconds) {
      const counter = new Counter();
      const opened = await Promise.all(Array.from({ length: 300 }, () => openDeafSocket(product, clientId, counter)));
      const sockets = opened.filter((socket) => socket !== null);
      counter.addTo("open", sockets.length);
      for (const socket of sockets) {
        countProblems(socket, counter);
        socket.send(JSON.stringify({ type: "attach" }));
      }
      await sleep(300);
      sockets[0]?.send(
        JSON.stringify({
          type: "execute",
          code: `import time\nend = time.monotonic() + ${seconds}\nwhile time.monotonic() < end: print('x' * 200, flush=True)`,
        }),
      );
      await sleep(seconds * 1000 + 500);
      for (const socket of sockets) socket.terminate();
      return counter.answers;
    },
  },
  {
    name: "600 KB frames of an unknown type",
    async run(product, clientId, seconds) {
      const counter = new Counter();
      const socket = await openDeafSocket(product, clientId, counter);
      if (socket === null) return counter.answers;
      countProblems(socket, counter);
      const frame = JSON.stringify({ type: "zzz", x: Array.from({ length: 200_000 }, () => ({})) });
      await repeat(45, seconds, () => {
        if (socket.bufferedAmount < 64 * MIB && socket.readyState === WebSocket.OPEN) socket.send(frame);
      });
      await sleep(1000);
      await end(socket);
      return counter.answers;
    },
  },
  {
    name: "while True: display(1)",
    async run(product, clientId, seconds) {
      const counter = new Counter();
      const socket = await openDeafSocket(product, clientId, counter);
      if (socket === null) return counter.answers;
      countProblems(socket, counter);
      socket.send(JSON.stringify({ type: "execute", code: "while True: display(1)", timeout: seconds }));
      await sleep(seconds * 1000 + 500);
      socket.terminate();
      return counter.answers;
    },
  },
  {
    name: "bodies of 1.2 MB with 400,000 values each",
    async run(product, clientId, seconds) {
      const counter = new Counter();
      const body = JSON.stringify({ x: Array.from({ length: 400_000 }, () => ({})) });
      const calls: Promise<void>[] = [];
      await repeat(45, seconds, () => {
        const call = async () => {
          const headers = { "client-id": clientId };
          try {
            const answer = await fetch(`${product.url}/api/v1/execute`, { method: "POST", headers, body });
            await answer.arrayBuffer();
            counter.add(answer.status);
          } catch {
            counter.add("broken");
          }
        };
        calls.push(call());
      });
      await Promise.all(calls);
      return counter.answers;
    },
  },
  {
    name: "bodies of 1.2 MB with 150,000 values each",
    async run(product, clientId, seconds) {
      const counter = new Counter();
      const body = JSON.stringify({ x: Array.from({ length: 75_000 }, () => ["123456789"]) });
      const calls: Promise<void>[] = [];
      await repeat(45, seconds, () => {
        const call = async () => {
          const headers = { "client-id": clientId };
          try {
            const answer = await fetch(`${product.url}/api/v1/execute`, { method: "POST", headers, body });
            await answer.arrayBuffer();
            counter.add(answer.status);
          } catch {
            counter.add("broken");
          }
        };
        calls.push(call());
      });
      await Promise.all(calls);
      return counter.answers;
    },
  },
];
