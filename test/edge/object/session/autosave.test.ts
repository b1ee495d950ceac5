/** When a session stores its state by itself. Real time, short settings. */
import { expect, it } from "vitest";
import { call, control, EdgeClient, registerRunner } from "../../support/edge-client.ts";

it("stores what code changed during a slow save, and the link stays open until it is stored", async () => {
  const clientId = `a-${crypto.randomUUID()}`;
  await registerRunner();
  // The session is not suspended within this test: that would store it too.
  await call("PUT", "/api/v1/sessions/default", { clientId, body: { idle_seconds: 600 } });
  const client = await EdgeClient.open(clientId);
  client.send({ type: "attach" });
  await client.run("push 1");
  const session = async () => (await control("sessions", clientId)).at(-1);
  const { key } = await session();
  await control("hold-checkpoints", key);
  await expect.poll(async () => (await session()).heldCheckpoints).toBe(1);
  await client.run("push 2");
  await control("release-checkpoints", key);
  const isSaved = ({ type, data }: { type: string; data: { reason?: string } }) =>
    type === "session" && data.reason === "saved";
  expect((await client.until(isSaved)).data.saved).toMatchObject({ is_current: false });
  expect((await client.until(isSaved)).data.saved).toMatchObject({ is_current: true });
  expect(await session()).toMatchObject({ links: 1, isLinked: true });
  await expect.poll(async () => (await session()).isLinked).toBe(false);
  await control("kill", key);
  await registerRunner();
  expect(await client.value("state")).toEqual([1, 2]);
});
