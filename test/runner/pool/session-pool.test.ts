import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type PoolOptions, type Session, SessionPool } from "../../../worker-runner/index.ts";
import type { StartSandbox } from "../../../worker-runner/sandbox/sandbox-contract.ts";
import { startTestSandbox } from "../../support/test-sandbox.ts";
import { collect, result } from "../borrowed-session.ts";
import { scriptedSandbox } from "../scripted-sandbox.ts";

const quick = scriptedSandbox({ execute: (live, id) => live.finish(id, { value: "1" }) });

/** A pool whose sandboxes are scripts, so that only the pool's own ways are seen. */
async function startPool(options: PoolOptions = {}): Promise<SessionPool> {
  const pool = new SessionPool({ startSandbox: quick, minIdle: 2, ...options });
  onTestFinished(() => pool.shutdown());
  await pool.start();
  return pool;
}

/** Starts that fail while `isBroken`, and how many there were. */
function faulty(inner: StartSandbox = quick) {
  const state = { isBroken: false, starts: 0, startedAt: [] as number[] };
  const start: StartSandbox = async (options) => {
    state.starts += 1;
    state.startedAt.push(performance.now());
    if (state.isBroken) throw new Error("no more of them");
    return inner(options);
  };
  return { state, start };
}

it("is what a library's user writes", async () => {
  const pool = new SessionPool({ minIdle: 1, startSandbox: startTestSandbox });
  onTestFinished(() => pool.shutdown());
  await pool.start();
  const session = await pool.acquire();
  const { stdout, terminal } = await collect(session.execute({ code: "print('hi')\n6 * 7" }));
  expect(stdout).toBe("hi\n");
  expect(terminal).toMatchObject({ type: "result", data: { value: 42 } });
  await pool.release(session);
});

it("keeps as many ready as it is told, and fills up again behind who takes one", async () => {
  const pool = await startPool({ minIdle: 3 });
  await expect.poll(() => pool.idle).toBe(3);
  await pool.acquire();
  await expect.poll(() => pool.health()).toMatchObject({ idle: 3, lent: 1, starting: 0 });
});

it("gives a session to one borrower only, also after its return", async () => {
  const pool = await startPool({ minIdle: 2, maxSessions: 4 });
  const seen = new Set<Session>();
  for (let round = 0; round < 10; round += 1) {
    const sessions = await Promise.all([pool.acquire(), pool.acquire(), pool.acquire(), pool.acquire()]);
    for (const session of sessions) {
      expect(seen.has(session)).toBe(false);
      seen.add(session);
    }
    await Promise.all(sessions.map((session) => pool.release(session)));
  }
  expect(pool.metrics()).toMatchObject({ acquired: 40, released: 40 });
});

it("never has more sessions than it may, and serves who waits in order", async () => {
  const pool = await startPool({ minIdle: 1, maxSessions: 2 });
  const [first, second] = await Promise.all([pool.acquire(), pool.acquire()]);
  const order: number[] = [];
  const third = pool.acquire().then((session) => order.push(3) && session);
  const fourth = pool.acquire().then((session) => order.push(4) && session);
  expect(pool.health()).toMatchObject({ waiting: 2, isReady: false });
  await pool.release(first);
  await third;
  await second.shutdown();
  await fourth;
  expect(order).toEqual([3, 4]);
  expect(pool.lent).toBe(2);
});

describe("a borrower", () => {
  it("is told in the end that none came free", async () => {
    const pool = await startPool({ minIdle: 1, maxSessions: 1 });
    await pool.acquire();
    await expect(pool.acquire({ deadlineMs: 20 })).rejects.toMatchObject({ code: "pool_exhausted" });
    expect(pool.health().waiting).toBe(0);
  });

  it("may give up, before and while it waits", async () => {
    const pool = await startPool({ minIdle: 1, maxSessions: 1 });
    const lent = await pool.acquire();
    await expect(pool.acquire({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
    await expect(pool.acquire({ signal: AbortSignal.timeout(10) })).rejects.toMatchObject({ code: "aborted" });
    await pool.release(lent);
    await pool.acquire();
  });

  it("may return a session twice, to no effect", async () => {
    const pool = await startPool();
    const session = await pool.acquire();
    await Promise.all([pool.release(session), pool.release(session)]);
    await pool.release(session);
    expect(pool.metrics().released).toBe(1);
  });

  it("gets none that ended while it was idle", async () => {
    const sandboxes: { kill(): Promise<void> }[] = [];
    const pool = await startPool({
      minIdle: 1,
      startSandbox: async (options) => {
        const sandbox = await quick(options);
        sandboxes.push(sandbox);
        return sandbox;
      },
    });
    await sandboxes[0]?.kill();
    const session = await pool.acquire();
    expect((await result(session, "1")).value).toBe(1);
  });
});

describe("where sessions cannot be started", () => {
  it("does not begin, and says why", async () => {
    const pool = new SessionPool({
      startSandbox: async () => Promise.reject(new Error("no more of them")),
      minIdle: 1,
    });
    await expect(pool.start()).rejects.toMatchObject({
      code: "interpreter_failed",
      message: expect.stringContaining("no more"),
    });
    await pool.shutdown();
  });

  it("tries again at ever longer intervals, and is well once it works", async () => {
    const { state, start } = faulty();
    const pool = await startPool({
      minIdle: 1,
      maxStarting: 1,
      startSandbox: start,
      startRetryMs: 20,
      startRetryMaxMs: 80,
    });
    state.isBroken = true;
    const borrowed = await pool.acquire();
    await expect.poll(() => pool.health().failedStarts).toBeGreaterThan(4);
    expect(pool.health()).toMatchObject({ isReady: false, lastFailure: expect.stringContaining("no more") });
    await expect(pool.acquire({ deadlineMs: 50 })).rejects.toMatchObject({ code: "interpreter_failed" });
    const gaps = state.startedAt.slice(2).map((at, index) => at - (state.startedAt[index + 1] ?? 0));
    expect(gaps.slice(2, 4).every((gap) => gap >= 35)).toBe(true);
    state.isBroken = false;
    await pool.acquire({ deadlineMs: 30_000 });
    expect(pool.health()).toMatchObject({ failedStarts: 0 });
    await pool.release(borrowed);
  });

  it("is broken after a second, refuses at once what it cannot serve, and lends again once a start succeeds", async () => {
    const { state, start } = faulty();
    const told: (string | null)[] = [];
    const pool = await startPool({
      minIdle: 0,
      startSandbox: start,
      startRetryMs: 20,
      startRetryMaxMs: 80,
      onBroken: (reason) => told.push(reason),
    });
    state.isBroken = true;
    const waiting = pool.acquire({ deadlineMs: 60_000 });
    await expect(waiting).rejects.toMatchObject({ code: "interpreter_failed" });
    expect(pool.broken).toContain("no more");
    // It does not wait for its deadline.
    await expect(pool.acquire({ deadlineMs: 600_000 })).rejects.toMatchObject({ code: "interpreter_failed" });
    expect(pool.isReady).toBe(false);
    state.isBroken = false;
    // Nobody asks for a session: the pool finds out by itself.
    await expect.poll(() => pool.isReady).toBe(true);
    expect(told).toEqual([expect.stringContaining("no more"), null]);
    await pool.acquire();
  });

  it("starts no more at a time than it may", async () => {
    let starting = 0;
    let most = 0;
    const pool = await startPool({
      minIdle: 8,
      maxStarting: 3,
      startSandbox: async (options) => {
        starting += 1;
        most = Math.max(most, starting);
        try {
          return await quick(options);
        } finally {
          starting -= 1;
        }
      },
    });
    await expect.poll(() => pool.idle).toBe(8);
    expect(most).toBeLessThanOrEqual(3);
  });
});

describe("a pool that ends", () => {
  it("lends no more when it drains, and lets those that are lent go on", async () => {
    const pool = await startPool({ minIdle: 1, maxSessions: 2 });
    const session = await pool.acquire();
    await pool.acquire();
    const waiting = pool.acquire();
    pool.drain();
    await expect(waiting).rejects.toMatchObject({ code: "draining" });
    await expect(pool.acquire()).rejects.toMatchObject({ code: "draining" });
    expect((await result(session, "1")).value).toBe(1);
    expect(pool.health()).toMatchObject({ state: "draining", idle: 0, isReady: false });
  });

  it("leaves no process, no file and no descriptor behind, even in the middle of starting", async () => {
    const own = await mkdtemp(join(tmpdir(), "pyrepl3-own-"));
    vi.stubEnv("TMPDIR", own);
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      await rm(own, { recursive: true });
    });
    const files = () => readdirSync(own);
    const descriptors = () => readdirSync("/proc/self/fd").length;
    const warm = new SessionPool({ minIdle: 1, startSandbox: startTestSandbox });
    await warm.start();
    await warm.shutdown();
    const before = [files(), descriptors()];
    const sandboxes: Promise<unknown>[] = [];
    const pool = new SessionPool({
      minIdle: 4,
      startSandbox: async (options) => {
        const sandbox = await startTestSandbox(options);
        sandboxes.push(sandbox.exited);
        return sandbox;
      },
    });
    await pool.start();
    const session = await pool.acquire();
    session.submit({ code: "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True)\ninput()" });
    await Promise.all([pool.shutdown(), pool.shutdown()]);
    await Promise.all(sandboxes);
    await expect.poll(() => [files(), descriptors()]).toEqual(before);
    expect(pool.health()).toMatchObject({ state: "ended", idle: 0, lent: 0, starting: 0 });
  });
});
