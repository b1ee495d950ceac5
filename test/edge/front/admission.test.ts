/** Client ids of callers without a token: how many there may be, and that nothing exists of one that is refused. */
import { expect, it } from "vitest";
import { ok, problemOf, type TestFront, testFront } from "../support/front.ts";

/** A ledger that admits three clients, and two from one address. */
function limitedFront(variables: Record<string, unknown> = {}) {
  const admitted = new Map<string, string>();
  let asked = 0;
  const ledger = {
    admitClient: ({ object, address }: { object: string; address: string }) => {
      asked += 1;
      if (admitted.has(object)) return null;
      if (admitted.size >= 3) return "clients";
      if (address !== "" && [...admitted.values()].filter((known) => known === address).length >= 2) return "address";
      admitted.set(object, address);
      return null;
    },
  };
  const front = testFront(
    {
      MAX_ANONYMOUS_CLIENTS: "3",
      MAX_ANONYMOUS_CLIENTS_PER_ADDRESS: "2",
      TENANTS: { idFromName: (name: string) => name, get: (name: string) => (name === "anonymous" ? ledger : null) },
      ...variables,
    },
    { listSessions: () => ok({ sessions: [] }) },
  );
  return { front, admitted, asked: () => asked };
}

const list = async (front: TestFront, clientId: string, headers = {}) => {
  const answer = await front.fetch("/api/v1/sessions", { headers: { "client-id": clientId, ...headers } });
  return answer.status === 200 ? 200 : (await problemOf(answer)).code;
};

it("refuses one client id more than there may be, and goes on with those that exist", async () => {
  const { front, asked } = limitedFront();
  for (const id of ["a", "b", "c"]) expect(await list(front, id)).toBe(200);
  const refused = await front.fetch("/api/v1/sessions", { headers: { "client-id": "d" } });
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("60");
  expect(await problemOf(refused)).toMatchObject({
    code: "session_limit",
    detail: expect.stringContaining("at most 3"),
  });
  const socket = await front.fetch("/ws/v1/session?client_id=e", { headers: { upgrade: "websocket" } });
  expect([socket.status, (await problemOf(socket)).code]).toEqual([429, "session_limit"]);
  // Nothing was asked of an object of theirs, so none was made.
  expect(new Set(front.calls.map(({ object }) => JSON.parse(object)[1]))).toEqual(new Set(["a", "b", "c"]));
  const before = asked();
  for (const id of ["a", "b", "c"]) expect(await list(front, id)).toBe(200);
  expect(asked()).toBe(before);
});

it("counts by the address that the trusted header names, and by the network of an IPv6 address", async () => {
  const { front, admitted } = limitedFront({ CLIENT_ADDRESS_HEADER: "X-Forwarded-For" });
  const from = (address: string) => ({ "x-forwarded-for": address });
  expect(await list(front, "a", from("9.9.9.9, 2001:db8:0:1::1"))).toBe(200);
  expect(await list(front, "b", from("8.8.8.8,2001:DB8:0000:0001:2:3:4:5"))).toBe(200);
  expect(await list(front, "c", from("2001:db8:0:1:ffff::"))).toBe("session_limit");
  expect(await list(front, "c", from("2001:db8:0:2::1"))).toBe(200);
  expect([...admitted.values()]).toEqual(["2001:db8:0:1::/64", "2001:db8:0:1::/64", "2001:db8:0:2::/64"]);
});

it("believes no header that is not trusted", async () => {
  const { front, admitted } = limitedFront();
  await list(front, "a", { "x-forwarded-for": "1.2.3.4", "cf-connecting-ip": "1.2.3.4" });
  expect([...admitted.values()]).toEqual([""]);
});

it("asks nobody if the limits are off, or if callers have tokens", async () => {
  const off = limitedFront({ MAX_ANONYMOUS_CLIENTS: "0", MAX_ANONYMOUS_CLIENTS_PER_ADDRESS: "0" });
  for (const id of ["a", "b", "c", "d"]) expect(await list(off.front, id)).toBe(200);
  expect(off.asked()).toBe(0);
  const closed = limitedFront({ JWT_SECRET: "a secret of at least thirty-two characters" });
  expect(await list(closed.front, "a")).toBe("unauthorized");
  expect(closed.asked()).toBe(0);
});

it("takes an IPv4 address as one, whatever port a proxy adds and however it is written", async () => {
  const { front, admitted } = limitedFront({ CLIENT_ADDRESS_HEADER: "X-Real-IP" });
  const from = (address: string) => ({ "x-real-ip": address });
  expect(await list(front, "a", from("203.0.113.7:5001"))).toBe(200);
  expect(await list(front, "b", from("::ffff:203.0.113.7"))).toBe(200);
  expect(await list(front, "c", from("203.0.113.7"))).toBe("session_limit");
  expect(await list(front, "c", from("[::FFFF:203.0.113.8]:5001"))).toBe(200);
  expect([...admitted.values()]).toEqual(["203.0.113.7", "203.0.113.7", "203.0.113.8"]);
});
