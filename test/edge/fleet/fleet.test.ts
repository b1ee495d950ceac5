/** The registry of runners: who lives, who has room, who is chosen, and that no client reaches it. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exports, env as testEnv } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Bindings } from "../../../src/env.ts";
import { FORGET_AFTER_MS, MAX_RUNNERS } from "../../../src/fleet/fleet.ts";
import { fleetStatus, placeRunner, recordHeartbeat, reportUnreachable } from "../../../src/fleet/fleet-calls.ts";
import type { Heartbeat } from "../../../src/protocol/link.ts";
import { problemOf, testFront } from "../support/front.ts";

const env = testEnv as unknown as Bindings;
const named = { headers: { "client-id": "ada" } };
const SHARDS = 4;
const sharded = { ...env, FLEET_SHARDS: String(SHARDS) } as unknown as Bindings;
const shardStub = (shard: number) => env.FLEET.get(env.FLEET.idFromName(shard === 0 ? "fleet" : `fleet-${shard}`));
const fleet = () => shardStub(0);

function heartbeat(id: string, change: Partial<Heartbeat> = {}): Heartbeat {
  return {
    id,
    url: `http://${id}.test:8788`,
    capacity: 10,
    sessions: 0,
    draining: false,
    version: "0.3.0",
    capabilities: {
      version: "0.3.0",
      python: { version: "3.11.2", implementation: "CPython" },
      serializer: { name: "cloudpickle", version: "2.2.0" },
      sandbox: { kind: "bwrap", isolated: true, network: false, seccomp: true, detail: "bubblewrap ≥ 0.8 ☃" },
      packages: { enabled: false },
      limits: {},
    },
    ...change,
  };
}

/** Sets the clock of a runner's last report back. */
async function age(id: string, ms: number): Promise<void> {
  await runInDurableObject(fleet(), (instance) => {
    const runner = (instance as unknown as { runners: Map<string, { seenAtMs: number }> }).runners.get(id);
    if (runner !== undefined) runner.seenAtMs -= ms;
  });
}

beforeEach(async () => {
  for (let shard = 0; shard < SHARDS; shard += 1) {
    await fleetStatus(sharded);
    await runInDurableObject(shardStub(shard), async (instance, state) => {
      (instance as unknown as { runners: Map<string, unknown> }).runners.clear();
      await state.storage.deleteAll();
    });
  }
});

describe("the Fleet", () => {
  it("has no runner at first, then places where one reports", async () => {
    expect(await placeRunner(env, "a")).toBe("none");
    await recordHeartbeat(env, heartbeat("r1"));
    expect(await placeRunner(env, "a")).toEqual({ id: "r1", url: "http://r1.test:8788" });
    expect(await placeRunner(env, "a", ["r1"])).toBe("full");
  });

  it("counts what it placed until the next report, so that a burst does not overfill", async () => {
    await recordHeartbeat(env, heartbeat("r1", { capacity: 3 }));
    for (let index = 0; index < 3; index += 1) expect(await placeRunner(env, `c${index}`)).toMatchObject({ id: "r1" });
    expect(await placeRunner(env, "c4")).toBe("full");
    await recordHeartbeat(env, heartbeat("r1", { capacity: 3, sessions: 2 }));
    expect(await placeRunner(env, "c4")).toMatchObject({ id: "r1" });
  });

  it("still lists a full runner that makes room for more sessions", async () => {
    await recordHeartbeat(env, heartbeat("r1", { capacity: 3, sessions: 3, free: 0, gives_way: true }));
    expect(await placeRunner(env, "c1")).toMatchObject({ id: "r1" });
    expect(await placeRunner(env, "c2")).toMatchObject({ id: "r1" });
    expect(await fleetStatus(env)).toMatchObject([{ id: "r1", sessions: 5, free: 0 }]);
  });

  it("does not place on a draining runner, and forgets one that is silent", async () => {
    await recordHeartbeat(env, heartbeat("r1"));
    await recordHeartbeat(env, heartbeat("r2", { draining: true }));
    await age("r1", FORGET_AFTER_MS - 1000);
    expect(await placeRunner(env, "a")).toMatchObject({ id: "r1" });
    await age("r1", 1001);
    expect(await placeRunner(env, "a")).toBe("none");
    expect((await fleetStatus(env)).map((runner) => runner.id)).toEqual(["r2"]);
    await recordHeartbeat(env, heartbeat("r1"));
    expect(await placeRunner(env, "a")).toMatchObject({ id: "r1" });
  });

  it("does not place on a runner that cannot start Python, and says so", async () => {
    const read = async (path: string) => {
      const headers = { authorization: `Bearer ${"r".repeat(32)}` };
      const answer = await testFront().fetch(path, { headers });
      return { status: answer.status, text: await answer.text() };
    };
    await recordHeartbeat(env, heartbeat("r1", { environments: [], gives_way: true }));
    expect(await placeRunner(env, "a")).toBe("none");
    expect(await read("/ready")).toMatchObject({ status: 503, text: expect.stringContaining("can start Python") });
    const { text } = await read("/metrics");
    expect(text).toContain('pyrepl_fleet_runners{state="broken"} 1');
    expect(text).toContain("pyrepl_fleet_free_places 0");
    await recordHeartbeat(env, heartbeat("r1", { environments: ["default"] }));
    expect(await placeRunner(env, "a")).toMatchObject({ id: "r1" });
  });

  it("gives a runner that a caller could not reach no session until its next heartbeat", async () => {
    await recordHeartbeat(env, heartbeat("r1"));
    await reportUnreachable(env, "r1");
    await reportUnreachable(env, "unknown");
    expect(await placeRunner(env, "a")).toBe("none");
    await recordHeartbeat(env, heartbeat("r1"));
    expect(await placeRunner(env, "a")).toMatchObject({ id: "r1" });
  });

  it("places where the environment is, and in the region that was asked for while it has room", async () => {
    await recordHeartbeat(env, heartbeat("eu", { region: "eu", environments: ["default", "science"], free: 1 }));
    await recordHeartbeat(env, heartbeat("us", { region: "us" }));
    expect(await placeRunner(env, "a", [], { environment: "other" })).toBe("none");
    expect(await placeRunner(env, "a", [], { region: "eu" })).toMatchObject({ id: "eu" });
    expect(await placeRunner(env, "b", [], { region: "eu" })).toMatchObject({ id: "us" });
    expect(await placeRunner(env, "b", [], { environment: "science" })).toBe("full");
  });

  it("writes nothing for a heartbeat that changes nothing but the load", async () => {
    await recordHeartbeat(env, heartbeat("r1"));
    const puts: string[] = [];
    await runInDurableObject(fleet(), (_instance, state) => {
      const put = state.storage.put.bind(state.storage) as (key: string, value: unknown) => Promise<void>;
      Object.assign(state.storage, {
        put: (key: string, value: unknown) => {
          puts.push(key);
          return put(key, value);
        },
      });
    });
    for (let sessions = 0; sessions < 5; sessions += 1) {
      await recordHeartbeat(env, heartbeat("r1", { sessions, free: 10 - sessions }));
    }
    expect(puts).toEqual([]);
    await recordHeartbeat(env, heartbeat("r1", { draining: true }));
    expect(puts).toEqual(["runner:r1"]);
    await evictDurableObject(fleet());
  });

  it("refuses a runner past its bound, and still takes those that it knows", async () => {
    await recordHeartbeat(env, heartbeat("r1"));
    await runInDurableObject(fleet(), (instance) => {
      const { runners } = instance as unknown as { runners: Map<string, { seenAtMs: number }> };
      const known = runners.get("r1");
      if (known === undefined) throw new Error("r1 is missing");
      for (let index = 1; index < MAX_RUNNERS; index += 1) runners.set(`other-${index}`, { ...known });
    });
    expect(await recordHeartbeat(env, heartbeat("one-too-many"))).toBe(false);
    expect(await recordHeartbeat(env, heartbeat("r1"))).toBe(true);
  });

  it("remembers across eviction, down to what a runner says about itself", async () => {
    await recordHeartbeat(env, heartbeat("r1"));
    await evictDurableObject(fleet());
    const [runner] = await fleetStatus(env);
    expect(runner?.id).toBe("r1");
    expect(runner?.capabilities.sandbox.detail).toBe("bubblewrap ≥ 0.8 ☃");
  });

  it("takes odd ids as plain names", async () => {
    for (const id of ["__proto__", "constructor", "a b", "ü"])
      await recordHeartbeat(env, heartbeat(id, { url: "http://x.test" }));
    expect((await fleetStatus(env)).map((runner) => runner.id).sort()).toEqual([
      "__proto__",
      "a b",
      "constructor",
      "ü",
    ]);
  });

  it("is not asked where the settings name one runner", async () => {
    const fixed = { ...env, RUNNER_URL: "http://fixed.test:1", FLEET: undefined } as unknown as Bindings;
    expect(await placeRunner(fixed, "a")).toEqual({ id: "fixed", url: "http://fixed.test:1" });
    expect(await placeRunner(fixed, "a", ["some-runner"])).toBe("none");
    expect(await fleetStatus(fixed)).toEqual([]);
  });
});

describe("several shards", () => {
  it("spread the runners, and place and list over all of them", async () => {
    for (let index = 0; index < 40; index += 1) {
      await recordHeartbeat(sharded, heartbeat(`r${index}`, { capacity: 2, free: 2 }));
    }
    expect((await fleetStatus(sharded)).length).toBe(40);
    for (let shard = 0; shard < SHARDS; shard += 1) {
      await runInDurableObject(shardStub(shard), (instance) => {
        const { size } = (instance as unknown as { runners: Map<string, unknown> }).runners;
        expect(size).toBeGreaterThan(2);
        expect(size).toBeLessThan(20);
      });
    }
    const places = new Map<string, number>();
    for (let index = 0; index < 80; index += 1) {
      const placed = await placeRunner(sharded, `client-${index}`);
      if (typeof placed === "string") throw new Error(placed);
      places.set(placed.id, (places.get(placed.id) ?? 0) + 1);
    }
    expect([...places.values()].every((count) => count === 2)).toBe(true);
    expect(places.size).toBe(40);
    expect(await placeRunner(sharded, "one-more")).toBe("full");
  });
});

describe("the world outside", () => {
  const call = (path: string, init: RequestInit = {}) =>
    (exports as unknown as { default: Fetcher }).default.fetch(`https://edge.test${path}`, init);
  const secret = { authorization: `Bearer ${"r".repeat(32)}` };
  const report = (body: unknown, headers: Record<string, string> = secret) =>
    call("/internal/v1/heartbeat", { method: "POST", headers, body: JSON.stringify(body) });

  it("takes heartbeats with the shared secret only", async () => {
    vi.spyOn(console, "error").mockReturnValue(undefined);
    for (const headers of [
      {},
      { authorization: `Bearer ${"r".repeat(31)}` },
      { authorization: `Bearer ${"r".repeat(33)}` },
      { authorization: "r".repeat(32) },
    ]) {
      expect((await report(heartbeat("r1"), headers)).status).toBe(401);
    }
    expect((await report(heartbeat("r1"))).status).toBe(204);
  });

  it("is ready if a runner with room says that it is, and stops asking one that does not answer", async () => {
    let answer = async () => Response.json({ status: "ready" });
    const asked: string[] = [];
    vi.stubGlobal("fetch", (url: URL) => {
      asked.push(String(url));
      return answer();
    });
    // A new environment object each time: what is known of a shard's room is kept for two seconds.
    const ready = async () => (await testFront({ CLIENT_SESSIONS: env.CLIENT_SESSIONS }).fetch("/ready")).status;
    expect(await ready()).toBe(503);
    await recordHeartbeat(env, heartbeat("r1"));
    expect(await ready()).toBe(200);
    answer = async () => Response.json({}, { status: 503 });
    expect(await ready()).toBe(503);
    answer = async () => {
      throw new Error("connection refused");
    };
    expect(await ready()).toBe(503);
    const before = asked.length;
    expect(await ready()).toBe(503);
    expect(asked.length).toBe(before);
    await recordHeartbeat(env, heartbeat("r1", { sessions: 10 }));
    expect(await ready()).toBe(503);
    expect(asked.length).toBe(before);
    vi.unstubAllGlobals();
  });

  it("refuses malformed and huge heartbeats", async () => {
    expect((await report({ id: "r1" })).status).toBe(400);
    expect((await report(heartbeat("r1", { url: "nope" }))).status).toBe(400);
    expect((await report({ ...heartbeat("r1"), more: "x".repeat(70_000) })).status).toBe(413);
  });

  it("shows what a runner can do, or says that there is none", async () => {
    const none = await call("/api/v1/capabilities", named);
    expect(none.status).toBe(503);
    expect(none.headers.get("retry-after")).not.toBeNull();
    await report(heartbeat("r1"));
    const answer = await call("/api/v1/capabilities", named);
    expect(await answer.json()).toMatchObject({ protocol: "v1", python: { version: "3.11.2" }, edge_version: "0.3.0" });
  });

  it.each([
    "/do/call/list",
    "/do/call/destroy",
    "/do/get-prop/runners",
    "/internal/do/call/list",
    "/api/v1/do/call/list",
    "/ws/v1/session/do/call/list",
    "//do/call/list",
    "/%64o/call/list",
  ])("never reaches the registry by %s", async (path) => {
    await report(heartbeat("r1"));
    const response = await call(path, { headers: { "do-content": "[]", "do-name": "fleet" } });
    expect([401, 404]).toContain(response.status);
    expect(await response.text()).not.toContain("r1.test");
    expect((await fleetStatus(env)).length).toBe(1);
  });

  it("rings only with the secret, and only objects that can exist", async () => {
    const ring = (body: unknown, headers: Record<string, string> = secret) =>
      call("/internal/v1/ring", { method: "POST", headers, body: JSON.stringify(body) });
    const good = { object: env.CLIENT_SESSIONS.idFromName("x").toString(), session: "default", key: "k" };
    expect((await ring(good, {})).status).toBe(401);
    expect((await ring({ ...good, object: "../x" })).status).toBe(404);
    expect((await ring({ ...good, session: "a/b" })).status).toBe(400);
    expect((await ring(good)).status).toBe(410);
  });
});

describe("with one fixed runner", () => {
  const fixed = { RUNNER_URL: "http://fixed.test:1" };
  const capabilities = heartbeat("r1").capabilities;
  const answerWith = (answer: (url: string, headers: Headers) => Response) =>
    vi.stubGlobal("fetch", async (url: URL, init: RequestInit) => answer(String(url), new Headers(init.headers)));
  afterEach(() => vi.unstubAllGlobals());

  it("asks it whether it is ready and what it can do, with the secret", async () => {
    answerWith((url, headers) => {
      expect(headers.get("authorization")).toBe(`Bearer ${"r".repeat(32)}`);
      return url.endsWith("/ready") ? Response.json({ status: "ready" }) : Response.json(capabilities);
    });
    const front = testFront(fixed);
    expect((await front.fetch("/ready")).status).toBe(200);
    expect(await (await front.fetch("/api/v1/capabilities", named)).json()).toMatchObject({
      ...capabilities,
      protocol: "v1",
    });
  });

  it("says that there is none where it does not answer, or has no room", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new Error("connection refused by 10.0.0.7");
    });
    for (const path of ["/ready", "/api/v1/capabilities"]) {
      const response = await testFront(fixed).fetch(path, named);
      expect([response.status, (await problemOf(response)).code]).toEqual([503, "no_runner"]);
    }
    answerWith(() => Response.json({}, { status: 503 }));
    expect((await testFront(fixed).fetch("/ready")).status).toBe(503);
  });

  it("blames the runner for an answer that makes no sense", async () => {
    const cutOff = () => {
      const body = new ReadableStream({ pull: (controller) => controller.error(new Error("the time is up")) });
      return new Response(body, { headers: { "content-type": "application/json" } });
    };
    for (const answer of [() => Response.json({ python: "yes" }), () => new Response("<html>"), cutOff]) {
      answerWith(answer);
      for (const path of ["/api/v1/capabilities", "/api/v1/environments"]) {
        const response = await testFront(fixed).fetch(path, named);
        expect([response.status, (await problemOf(response)).code], path).toEqual([502, "runner_error"]);
      }
    }
  });
});
