import { expect, it } from "vitest";
import { startService } from "./service-under-test.ts";

it("answers health, ready and metrics without the secret, and nothing else", async () => {
  const { url } = await startService();
  for (const path of ["/health", "/ready", "/metrics"]) expect((await fetch(url + path)).status).toBe(200);
  for (const authorization of [
    "",
    "Bearer wrong",
    "a-secret-of-sixteen-or-more",
    "Basic a-secret-of-sixteen-or-more",
  ]) {
    for (const path of ["/v1/capabilities", "/v1/sessions/k1/checkpoints/c1", "/v1/nothing"]) {
      const response = await fetch(url + path, { headers: { authorization } });
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ code: "unauthorized" });
    }
  }
});

it("says what it is", async () => {
  const { call, pool } = await startService();
  expect(await (await call("/v1/capabilities")).json()).toEqual(pool.capabilities);
});

it("ends and forgets a session", async () => {
  const { call, link, pool } = await startService();
  const edge = await link();
  edge.open();
  await edge.reply("opened");
  expect((await call("/v1/sessions/k1", { method: "DELETE" })).status).toBe(204);
  expect(pool.only.calls).toContain("shutdown");
  expect(await edge.closed).toBe(1000);
  expect((await call("/v1/sessions/k1", { method: "DELETE" })).status).toBe(404);
  expect((await call("/v1/sessions/bad!key", { method: "DELETE" })).status).toBe(404);
});

it("ends a session whose pool had not handed it out yet", async () => {
  const { call, link, pool } = await startService();
  const { promise, resolve } = Promise.withResolvers<void>();
  pool.gate = promise;
  const edge = await link();
  edge.open();
  const deleted = call("/v1/sessions/k1", { method: "DELETE" });
  const late = await link("k2");
  late.ws.close();
  await late.closed;
  resolve();
  const { status } = await deleted;
  if (status === 204) expect(pool.only.calls).toContain("shutdown");
  else expect(status).toBe(404);
});

it("is not ready when every session is busy; an idle one would give way", async () => {
  const { url, link, pool } = await startService({ POOL_MAX_SESSIONS: "1", POOL_MIN_IDLE: "0" });
  const edge = await link();
  edge.open();
  await edge.reply("opened");
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  pool.only.emitBusy(true);
  expect((await fetch(`${url}/ready`)).status).toBe(503);
});

it("counts what it holds", async () => {
  const { url, link, pool } = await startService();
  const edge = await link();
  edge.open();
  await edge.reply("opened");
  const { frame } = pool.only.emit("output", "e1", { data: "text that must not show" });
  await edge.settle();
  const figures = await (await fetch(`${url}/metrics`)).text();
  expect(figures).toContain("pyrepl_sessions 1");
  expect(figures).toContain("pyrepl_links 1");
  expect(figures).toContain(`pyrepl_ring_bytes ${frame.length}`);
  expect(figures).toContain("pyrepl_pool_idle 5");
  expect(figures).toContain("process_resident_memory_bytes");
  expect(figures).not.toContain("must not show");
});
