import { expect, it } from "vitest";
import { ClientError } from "../../src/client/client-error.ts";
import { Requests } from "../../src/client/requests.ts";
import type { Outgoing } from "../../src/client/wire.ts";

/** Requests over a socket that a test opens and breaks. */
function newRequests() {
  const sent: Outgoing[] = [];
  const socket = { isOpen: true };
  const requests = new Requests((message) => {
    if (socket.isOpen) sent.push(message);
    return socket.isOpen;
  });
  return { sent, socket, requests };
}

const pong = (id: string | undefined) => ({ type: "pong", id, data: {} }) as never;
const problem = (id: string | undefined, code: string) =>
  ({ type: "problem", id, data: { code, detail: code, title: code, status: 429, retry_after: 0.001 } }) as never;

it("settles each request by its id, and leaves other messages alone", async () => {
  const { sent, requests } = newRequests();
  const answer = requests.ask({ type: "ping" }, true);
  expect(requests.settle(pong("another"))).toBe(false);
  expect(requests.settle(pong(sent[0]?.id))).toBe(true);
  expect((await answer).type).toBe("pong");
  expect(requests.size).toBe(0);
});

it("sends again after a break what may be repeated, and fails the rest", async () => {
  const { sent, socket, requests } = newRequests();
  const repeatable = requests.ask({ type: "ping" }, true);
  const once = requests.ask({ type: "checkpoint" }, false);
  socket.isOpen = false;
  requests.loseSent();
  await expect(once).rejects.toMatchObject({ code: "connection_lost" });
  const unsent = requests.ask({ type: "interrupt" }, false);
  requests.loseSent();
  socket.isOpen = true;
  requests.sendAll();
  expect(sent.map(({ type }) => type)).toEqual(["ping", "checkpoint", "ping", "interrupt"]);
  for (const { id } of sent.slice(2)) requests.settle(pong(id));
  await Promise.all([repeatable, unsent]);
});

it("sends again what was refused as too much, and fails with any other problem", async () => {
  const { sent, requests } = newRequests();
  const limited = requests.ask({ type: "ping" }, true);
  requests.settle(problem(sent[0]?.id, "rate_limited"));
  await expect.poll(() => sent.length).toBe(2);
  requests.settle(pong(sent[1]?.id));
  await limited;
  const failed = requests.ask({ type: "ping" }, true);
  requests.settle(problem(sent[2]?.id, "session_limit"));
  await expect(failed).rejects.toMatchObject({ code: "session_limit", retryAfter: 0.001 });
});

it("fails everything with the reason of the end", async () => {
  const { requests } = newRequests();
  const waiting = requests.ask({ type: "ping" }, true);
  requests.fail(new ClientError("closed", "closed"));
  await expect(waiting).rejects.toMatchObject({ code: "closed" });
});
