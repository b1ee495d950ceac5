// Work of one client that may cost its neighbours something: files, packages, branches, tool calls, and a large state that is stored.
import { setTimeout as sleep } from "node:timers/promises";
import type { Product } from "../support/product.ts";
import { BenchClient } from "./bench-client.ts";

export interface BusyWork {
  name: string;
  /** Works for so long. @returns how many times the work was done. */
  run(product: Product, clientId: string, seconds: number): Promise<number>;
}

const FILE_BYTES = 64 * 1024 * 1024;
const CALLS = 100;
/** After a call that was refused, for its rate for example. */
const REFUSED_PAUSE_MS = 100;

/** A package of the index that the service uses. */
export const PACKAGE = "greeting";

async function call(product: Product, clientId: string, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${product.url}/api/v1${path}`, {
    method,
    headers: { "client-id": clientId },
    ...(body === undefined ? {} : { body: body instanceof Uint8Array ? body : JSON.stringify(body) }),
  });
  let bytes = 0;
  for await (const piece of answer.body ?? []) bytes += piece.length;
  if (!answer.ok) await sleep(REFUSED_PAUSE_MS);
  return { isOk: answer.ok, bytes };
}

/** Repeats `work` until the time is over. */
async function repeat(seconds: number, work: (index: number) => Promise<boolean>): Promise<number> {
  const endsAt = performance.now() + seconds * 1000;
  let done = 0;
  for (let index = 0; performance.now() < endsAt; index += 1) if (await work(index)) done += 1;
  return done;
}

export const busyWork: BusyWork[] = [
  {
    name: "64 MiB up and down as a file",
    run: async (product, clientId, seconds) => {
      const content = Buffer.alloc(FILE_BYTES, "neighbour ");
      return repeat(seconds, async () => {
        const put = await call(product, clientId, "PUT", "/files/content?path=large.bin", content);
        const got = await call(product, clientId, "GET", "/files/content?path=large.bin");
        return put.isOk && got.bytes === FILE_BYTES;
      });
    },
  },
  {
    name: "a package installed",
    run: (product, clientId, seconds) =>
      repeat(seconds, async () => {
        const code = `%pip install --force-reinstall ${PACKAGE}`;
        return (await call(product, clientId, "POST", "/execute?wait=30", { code })).isOk;
      }),
  },
  {
    name: "a branch made and purged",
    run: async (product, clientId, seconds) => {
      await call(product, clientId, "POST", "/execute?wait=30", { code: "x = [0]" });
      return repeat(seconds, async (index) => {
        const made = await call(product, clientId, "POST", "/session/branch", { name: `b-${index}` });
        await call(product, clientId, "DELETE", `/sessions/b-${index}?purge=true`);
        return made.isOk;
      });
    },
  },
  {
    name: `${CALLS} tool calls in a loop`,
    run: async (product, clientId, seconds) => {
      const client = await BenchClient.open(product.socketUrl, { clientId });
      client.answerTools();
      const code = `import tools\nfor n in range(${CALLS}): tools.echo(n=n)`;
      const done = await repeat(seconds, async () => {
        await client.must(code, { tools: [{ name: "echo" }] });
        return true;
      });
      await client.close();
      return done;
    },
  },
  {
    name: "100 MB of state changed and stored",
    run: async (product, clientId, seconds) => {
      await call(product, clientId, "POST", "/execute?wait=30", {
        code: "import os; data = bytearray(os.urandom(100_000_000)); None",
      });
      return repeat(seconds, async (index) => {
        await call(product, clientId, "POST", "/execute?wait=30", { code: `data[${index}] ^= 1` });
        return (await call(product, clientId, "POST", "/checkpoint", {})).isOk;
      });
    },
  },
];
