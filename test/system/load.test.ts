/** Many executions, many clients, random ends: every one gets exactly its own answer. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient, textOf } from "../support/socket-client.ts";

let product: Product;
const open = () => SocketClient.open(product.socketUrl, { clientId: `c-${crypto.randomUUID()}`, checked: false });

beforeAll(async () => {
  product = await startProduct({ POOL_MIN_IDLE: "5" });
});
afterAll(async () => {
  await product?.stop();
});

it("runs 2,000 executions in one session in a row", async () => {
  const client = await open();
  await client.run("n = 0");
  for (let count = 1; count <= 2000; count += 1) expect(await client.value("n += 1\nn")).toBe(count);
  await client.close();
}, 120_000);

it("answers 50 clients at once without mixing anything up", async () => {
  const clients = await Promise.all(Array.from({ length: 50 }, open));
  await Promise.all(
    clients.map(async (client, index) => {
      await client.run(`me = ${index}; n = 0`);
      for (let count = 1; count <= 20; count += 1) {
        const events = await client.run("n += 1\nprint(f'{me}:{n}')\n[me, n]", {}, 100_000);
        expect(textOf(events)).toBe(`${index}:${count}\n`);
        expect(events.at(-1)?.data.value).toEqual([index, count]);
      }
      const text = textOf(client.frames);
      expect(text.split("\n").filter((line) => line !== "" && !line.startsWith(`${index}:`))).toEqual([]);
    }),
  );
  await Promise.all(clients.map((client) => client.close()));
}, 240_000);

it("gives 1,000 executions with random timeouts and interrupts exactly one terminal message each", async () => {
  const parts = Array.from({ length: 4 }, async (_, part) => {
    const client = await open();
    let random = part + 1;
    const next = () => {
      random = (random * 1103515245 + 12345) % 2147483648;
      return random / 2147483648;
    };
    for (let count = 0; count < 250; count += 1) {
      const id = `${part}-${count}`;
      const kind = next();
      const code = kind < 0.4 ? "import time; time.sleep(0.02); 'done'" : kind < 0.7 ? "while True: pass" : "'quick'";
      client.send({ type: "execute", id, code, timeout: kind < 0.7 ? 0.01 + next() * 0.03 : 5 });
      if (next() < 0.5) client.send({ type: "interrupt" });
      const terminal = await client.until(
        (frame) => (frame.type === "result" || frame.type === "error") && frame.data.execution_id === id,
      );
      if (terminal.type === "error") expect(["timeout", "interrupted"]).toContain(terminal.data.reason);
      if (count % 25 === 0) expect(await client.value(`${part} * 1000 + ${count}`)).toBe(part * 1000 + count);
    }
    const terminals = client.frames.filter((frame) => frame.type === "result" || frame.type === "error");
    const ids = terminals.map((frame) => frame.data.execution_id);
    expect(new Set(ids).size).toBe(ids.length);
    await client.close();
  });
  await Promise.all(parts);
}, 240_000);
