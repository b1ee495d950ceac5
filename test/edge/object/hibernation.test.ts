/** An object that has nothing to do leaves memory though its sockets stay open, also while its runner computes. Real time. */
import { runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, it } from "vitest";
import { control, EdgeClient, registerRunner, ring, seqsOf, stubOf } from "../support/edge-client.ts";

/** workerd puts an object out of memory after 10 s without events, and looks every 10 s; code may compute for longer than that. */
const LONG_ENOUGH_MS = 31_000;
beforeEach(() => registerRunner());

/** Marks the object in memory; a mark that is gone tells of a new one. */
async function isMarked(clientId: string, setTo?: boolean): Promise<boolean> {
  return runInDurableObject(stubOf(clientId), (instance) => {
    const marked = instance as unknown as { mark?: boolean };
    const was = marked.mark === true;
    if (setTo !== undefined) marked.mark = setTo;
    return was;
  });
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it.concurrent("sleeps while its runner computes, and wakes for the news with its sockets as they were", async () => {
  const clientId = `h-${crypto.randomUUID()}`;
  const client = await EdgeClient.open(clientId);
  client.send({ type: "attach", window: 65_536 });
  client.send({ type: "execute", id: "long", code: "print a\nhold\nprint b" });
  await client.untilType("output");
  await isMarked(clientId, true);
  expect(await isMarked(clientId)).toBe(true);
  await pause(LONG_ENOUGH_MS);
  expect(await isMarked(clientId)).toBe(false);
  const [{ key }] = await control("sessions", clientId);
  await control("release", key);
  expect(await ring(clientId, key)).toBe(204);
  await client.untilType("result");
  expect(seqsOf(client.frames)).toEqual([1, 2, 3]);
}, 60_000);

it.concurrent("sleeps while nobody asks for anything, and wakes for a message", async () => {
  const clientId = `h-${crypto.randomUUID()}`;
  const client = await EdgeClient.open(clientId);
  await client.run("push 1");
  await isMarked(clientId, true);
  expect(await isMarked(clientId)).toBe(true);
  await pause(LONG_ENOUGH_MS);
  client.send('{"type":"ping"}');
  expect(await client.next()).toEqual({ type: "pong", data: {} });
  expect(await isMarked(clientId)).toBe(false);
  await registerRunner();
  expect((await client.run("print b")).map((event) => event.type)).toEqual(["output", "result"]);
}, 60_000);
