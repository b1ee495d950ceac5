import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { collect, printed, result, run, startSession } from "../../borrowed-session.ts";

const flood = "import sys\nline = 'x' * 1023 + '\\n'\nfor _ in range(20_000): sys.stdout.write(line)\n'done'";

describe("a session that is paused", () => {
  it("stops Python in write, and goes on where it stopped", async () => {
    const session = await startSession();
    let characters = 0;
    session.subscribe({
      event: ({ frame }) => {
        characters += frame.length;
      },
    });
    const ended = collect(session.execute({ code: `print('on', flush=True)\n${flood}` }));
    await printed(session, "on");
    session.pauseOutput();
    await wait(300);
    const before = characters;
    await wait(300);
    expect(characters).toBe(before);
    expect(characters).toBeLessThan(4_000_000);
    session.resumeOutput();
    expect((await ended).stdout.length).toBe(3 + 20_000 * 1024);
  });

  it("can be interrupted, and loses nothing that was printed before", async () => {
    const session = await startSession();
    const ended = collect(session.execute({ code: `print('on', flush=True)\n${flood}` }));
    await printed(session, "on");
    session.pauseOutput();
    await wait(200);
    session.interrupt();
    const { terminal } = await ended;
    expect(terminal.data).toMatchObject({ reason: "interrupted" });
    session.resumeOutput();
    expect((await result(session, "1")).value).toBe(1);
  });

  it("begins no execution before it is resumed, and answers everything else", async () => {
    const session = await startSession();
    session.pauseOutput();
    const waiting = run(session, "1");
    expect((await session.status()).queued.length).toBe(1);
    session.resumeOutput();
    expect((await waiting).terminal.type).toBe("result");
    session.pauseOutput();
    await session.checkpoint();
    expect(await session.isComplete("1")).toEqual({ status: "complete" });
    session.resumeOutput();
  });
});

it("makes Python wait for a reader that lags, in bounded memory", async () => {
  const session = await startSession();
  let told = 0;
  session.subscribe({
    event: ({ frame }) => {
      told += frame.length;
    },
  });
  let characters = 0;
  let isFirst = true;
  for await (const event of session.execute({ code: flood })) {
    if (event.type !== "output") continue;
    characters += event.data.data.length;
    if (isFirst) await wait(500);
    if (isFirst) expect(told).toBeLessThan(8_000_000);
    isFirst = false;
  }
  expect(characters).toBe(20_000 * 1024);
});

it("carries a hundred megabytes whole", async () => {
  const session = await startSession();
  let characters = 0;
  const code = "import sys\nfor _ in range(100): sys.stdout.write('y' * 1_000_000)";
  for await (const event of session.execute({ code, timeout: 60 })) {
    if (event.type === "output") characters += event.data.data.length;
    else expect(event.type).toBe("result");
  }
  expect(characters).toBe(100_000_000);
});

it("ends at once while its output is held back", async () => {
  const session = await startSession();
  const ended = collect(session.execute({ code: "while True: print('x' * 1000)" }));
  await wait(100);
  session.pauseOutput();
  await wait(300);
  await session.shutdown();
  expect((await ended).terminal.data).toMatchObject({ reason: "cancelled" });
});

it("hears of an interrupt however fast the code prints that is held back", async () => {
  const session = await startSession({ noticedInterruptGraceMs: 30_000 });
  for (let round = 0; round < 10; round += 1) {
    const ended = collect(session.execute({ code: `print('on', flush=True)\nwhile True: print('x' * 1000)` }));
    await printed(session, "on");
    session.pauseOutput();
    await wait(100);
    session.interrupt();
    expect((await ended).terminal.data).toMatchObject({ reason: "interrupted", state: "kept" });
    session.resumeOutput();
  }
});

it("is cut into no more frames than is reasonable", async () => {
  const session = await startSession();
  session.limitFrames(1);
  const { events, stdout } = await run(session, "print('x' * 100_000)");
  expect(stdout.length).toBe(100_001);
  expect(events.length).toBeLessThan(1_000);
});
