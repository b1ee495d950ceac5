import { expect, it } from "vitest";
import { NotingEdge, startService, TOKEN } from "../service-under-test.ts";

async function runnerWithEdge(variables: Record<string, string> = {}) {
  const edgeServer = await new NotingEdge().start();
  const runner = await startService({ EDGE_URL: edgeServer.url, ...variables });
  return { edgeServer, ...runner };
}

async function openAndLeave(runner: Awaited<ReturnType<typeof runnerWithEdge>>) {
  const edge = await runner.link();
  edge.open({ object: "object-1" });
  await edge.reply("opened");
  edge.ws.close();
  await edge.closed;
  return runner.pool.only;
}

it("registers at once, with what the Fleet needs", async () => {
  const { edgeServer, url, pool } = await runnerWithEdge();
  const { body, authorization } = await edgeServer.next("/internal/v1/heartbeat");
  expect(authorization).toBe(`Bearer ${TOKEN}`);
  expect(body).toEqual({
    id: "r1",
    url,
    capacity: 100,
    sessions: 0,
    free: 100,
    gives_way: true,
    environments: ["default"],
    draining: false,
    version: "0.3.0",
    capabilities: pool.capabilities,
  });
});

it("goes on sending heartbeats, and tries on while the edge is away", async () => {
  const { edgeServer } = await runnerWithEdge({ HEARTBEAT_SECONDS: "0.05" });
  await edgeServer.next("/internal/v1/heartbeat");
  await edgeServer.next("/internal/v1/heartbeat");
  edgeServer.status = 500;
  await edgeServer.next("/internal/v1/heartbeat");
  await edgeServer.next("/internal/v1/heartbeat");
  edgeServer.status = 204;
  await edgeServer.next("/internal/v1/heartbeat");
});

it("names its public URL where it has one", async () => {
  const { edgeServer } = await runnerWithEdge({ PUBLIC_URL: "https://runner.example" });
  expect((await edgeServer.next("/internal/v1/heartbeat")).body).toMatchObject({ url: "https://runner.example" });
});

it("rings when an event comes and there is no link, until there is one", async () => {
  const runner = await runnerWithEdge();
  const session = await openAndLeave(runner);
  session.emit("output", "e1");
  const { body, authorization } = await runner.edgeServer.next("/internal/v1/ring");
  expect(authorization).toBe(`Bearer ${TOKEN}`);
  expect(body).toEqual({ object: "object-1", session: "default", key: "k1" });
  await runner.edgeServer.next("/internal/v1/ring");
  const edge = await runner.link();
  edge.open({ create: false });
  expect(await edge.events(1)).toEqual([1]);
});

it("rings again for events that a broken link left undone, and not for those on disk", async () => {
  const runner = await runnerWithEdge();
  const edge = await runner.link();
  edge.open();
  await edge.reply("opened");
  runner.pool.only.emit("result", "e1");
  await edge.events(1);
  edge.ws.terminate();
  await runner.edgeServer.next("/internal/v1/ring");
  const again = await runner.link();
  again.open({ create: false });
  await again.events(1);
  again.send({ type: "durable", seq: 1 });
  await again.settle();
  runner.edgeServer.asked.length = 0;
  again.ws.close();
  await again.closed;
  await runner.call("/v1/sessions/k1", { method: "DELETE" });
  expect(runner.edgeServer.asked.filter((call) => call.path.endsWith("ring"))).toEqual([]);
});

it("rings on while the edge is away", async () => {
  const runner = await runnerWithEdge();
  const session = await openAndLeave(runner);
  runner.edgeServer.status = 503;
  session.emit("output", "e1");
  await runner.edgeServer.next("/internal/v1/ring");
  await runner.edgeServer.next("/internal/v1/ring");
  expect(session.calls).not.toContain("shutdown");
});

it("ends a session that the edge has given up", async () => {
  const runner = await runnerWithEdge();
  const session = await openAndLeave(runner);
  runner.edgeServer.status = 410;
  session.emit("output", "e1");
  await runner.edgeServer.next("/internal/v1/ring");
  await expect.poll(() => session.calls).toContain("shutdown");
});

it("asks about a session that has been alone for half its deadline, and keeps it while the edge answers", async () => {
  const runner = await runnerWithEdge({ ORPHAN_SECONDS: "0.2" });
  const session = await openAndLeave(runner);
  for (let times = 0; times < 4; times += 1) await runner.edgeServer.next("/internal/v1/ring");
  expect(session.calls).not.toContain("shutdown");
  await runner.edgeServer.stop();
  await expect.poll(() => session.calls).toContain("shutdown");
});

it("does not give up a session that is still computing", async () => {
  const runner = await runnerWithEdge({ ORPHAN_SECONDS: "0.05" });
  const session = await openAndLeave(runner);
  await runner.edgeServer.stop();
  const { promise: askedOften, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  const status = session.status.bind(session);
  session.running = "e1" as typeof session.running;
  session.status = () => {
    asked += 1;
    if (asked === 5) resolve();
    return status();
  };
  await askedOften;
  expect(session.calls).not.toContain("shutdown");
});

it("hands its sessions over before it stops: links are told, sessions without one are rung for", async () => {
  const runner = await runnerWithEdge({ SHUTDOWN_GRACE_SECONDS: "20" });
  const session = await openAndLeave(runner);
  const linked = await runner.link("k2");
  linked.open();
  await linked.reply("opened");
  const stopped = runner.service.stop();
  await linked.reply("draining");
  await runner.edgeServer.next("/internal/v1/heartbeat", ({ draining }) => draining === true);
  await runner.edgeServer.next("/internal/v1/ring");
  const late = await runner.link("k3");
  late.open();
  expect(await late.reply("refused")).toMatchObject({ code: "draining" });
  const back = await runner.link("k1");
  back.open({ create: false });
  await back.reply("opened");
  await back.reply("draining");
  expect((await fetch(`${runner.url}/ready`)).status).toBe(503);
  await runner.call("/v1/sessions/k1", { method: "DELETE" });
  await runner.call("/v1/sessions/k2", { method: "DELETE" });
  await stopped;
  expect(session.calls).toContain("shutdown");
  expect(runner.pool.isShutDown).toBe(true);
  await expect(fetch(`${runner.url}/health`)).rejects.toThrow();
});

it("rings on for a session without a link when it stops, should the edge be away at first", async () => {
  const runner = await runnerWithEdge({ SHUTDOWN_GRACE_SECONDS: "20" });
  const session = await openAndLeave(runner);
  runner.edgeServer.status = 503;
  const stopped = runner.service.stop();
  await runner.edgeServer.next("/internal/v1/ring");
  await runner.edgeServer.next("/internal/v1/ring");
  runner.edgeServer.status = 204;
  await runner.edgeServer.next("/internal/v1/ring");
  await runner.call("/v1/sessions/k1", { method: "DELETE" });
  await stopped;
  expect(session.calls).toContain("shutdown");
});

it("ends what the edge did not take in time", async () => {
  const runner = await runnerWithEdge({ SHUTDOWN_GRACE_SECONDS: "0.1" });
  const edge = await runner.link();
  edge.open();
  await edge.reply("opened");
  await runner.service.stop();
  expect(await edge.reply("session")).toMatchObject({ state: "ended" });
  await edge.closed;
  expect(runner.pool.only.calls).toContain("shutdown");
});
