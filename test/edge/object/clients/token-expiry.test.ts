/** A socket ends when its token does: with a notice and close code 4401, at the object's alarm or at the next message. */
import { evictDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import { FULL_GRANT } from "../../../../src/grant.ts";
import { SOCKET_HEADERS } from "../../../../src/session-calls.ts";
import { stubOf } from "../../support/edge-client.ts";

async function openUntil(clientId: string, expiresAtMs: number | null) {
  const expiresAt = expiresAtMs === null ? null : expiresAtMs / 1000;
  const answer = await stubOf(clientId).fetch("https://session/socket", {
    headers: {
      upgrade: "websocket",
      [SOCKET_HEADERS.tenant]: "anonymous",
      [SOCKET_HEADERS.clientId]: clientId,
      [SOCKET_HEADERS.session]: "default",
      [SOCKET_HEADERS.requestId]: "r",
      [SOCKET_HEADERS.grant]: JSON.stringify({ ...FULL_GRANT, expiresAt }),
    },
  });
  const ws = answer.webSocket;
  if (ws === null) throw new Error(`no socket: ${answer.status}`);
  const seen: unknown[] = [];
  ws.addEventListener("message", (message) => {
    const { type, data } = JSON.parse(message.data as string) as { type: string; data: { code?: string } };
    seen.push(type === "problem" ? data.code : type);
  });
  ws.addEventListener("close", (event) => seen.push(event.code));
  ws.accept();
  return { seen, ping: () => ws.send(JSON.stringify({ type: "ping", id: "1" })) };
}

it("closes a socket that sends nothing, also after the object was evicted, and leaves the others", async () => {
  const clientId = `t-${crypto.randomUUID()}`;
  const brief = await openUntil(clientId, Date.now() + 1500);
  const long = await openUntil(clientId, Date.now() + 600_000);
  const endless = await openUntil(clientId, null);
  await evictDurableObject(stubOf(clientId));
  await vi.waitFor(() => expect(brief.seen).toEqual(["unauthorized", 4401]), { timeout: 15_000, interval: 50 });
  for (const { ping, seen } of [long, endless]) {
    ping();
    await vi.waitFor(() => expect(seen).toEqual(["pong"]), { timeout: 10_000 });
  }
});

it("answers no message of a socket whose token has expired", async () => {
  const late = await openUntil(`t-${crypto.randomUUID()}`, Date.now() - 1);
  late.ping();
  await vi.waitFor(() => expect(late.seen).toEqual(["unauthorized", 4401]), { timeout: 10_000 });
});
