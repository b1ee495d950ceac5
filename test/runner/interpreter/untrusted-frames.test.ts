// What a process inside may not say, and what becomes of it; the far side of the channel is a script.
import { describe, expect, it } from "vitest";
import { FrameKind } from "../../../worker-runner/channel/framing.ts";
import { failure, result, run, startSession } from "../borrowed-session.ts";
import { type FarSide, type ScriptedProcess, scriptedSandbox } from "../scripted-sandbox.ts";

type Misdeed = (live: ScriptedProcess, id: string, far: FarSide) => void;

/** A session whose code `bad` does `misdeed`, and whose other code ends well. */
function startWith(misdeed: Misdeed) {
  return startSession({
    startSandbox: scriptedSandbox({
      execute(live, id, code, far) {
        if (code === "bad") misdeed(live, id, far);
        else live.finish(id, { value: '"fine"', repr: "fine" });
      },
    }),
  });
}

const misdeeds: Record<string, Misdeed> = {
  "a result for another execution": (live) => live.finish("another"),
  "an input request for another execution": (live) =>
    live.say({ type: "input", execution_id: "another", input_id: "1", prompt: "", password: false }),
  "an unknown type": (live, id) => live.say({ type: "checkpoint", execution_id: id }),
  "that it does not know a message": (live) => live.say({ type: "unsupported", message_type: "execute" }),
  "a field of the wrong type": (live, id) => live.finish(id, { execution_time: "1" }),
  "a missing field": (live, id) => live.say({ type: "display", execution_id: id }),
  "a value that is not JSON": (live, id) => live.finish(id, { value: "NaN" }),
  "two values for one": (live, id) => live.finish(id, { value: "1}, {" }),
  "bytes that are not JSON": (live) => live.sendFrame(FrameKind.json, Buffer.from("{]")),
  "an answer without a question": (live) => live.say({ type: "completeness", id: "99", status: "complete" }),
  "a keeper's message": (live) => live.say({ type: "exited", pid: 2, code: 0, signal: null, begun: 0 }),
  "a blob": (live) => live.sendFrame(FrameKind.blob, Buffer.from("x")),
  "an unknown kind of frame": (live) => live.sendFrame(0x58, Buffer.from("x")),
  "a frame that announces four gigabytes": (live) => live.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x4a])),
  "output that begins before the last one ended": (live) => {
    live.print("abc", 0);
    live.print("d", 1);
  },
  "output that leaves some out": (live) => {
    live.print("abc", 0);
    live.print("d", 4);
  },
  "an output frame without room for its header": (live) => live.sendFrame(FrameKind.output, Buffer.alloc(3)),
};

it.each(Object.entries(misdeeds))("ends the process that sends %s, and the session goes on", async (_what, misdeed) => {
  const session = await startWith(misdeed);
  await result(session, "good");
  const { terminal } = await run(session, "bad");
  expect(terminal).toMatchObject({
    type: "error",
    data: { reason: "process_died", state: "recovered", transaction: "rolled_back" },
  });
  expect((await result(session, "good")).value).toBe("fine");
});

describe("after its terminal message an execution", () => {
  it.each<[string, Misdeed]>([
    ["result", (live, id) => live.finish(id)],
    ["output", (live) => live.print("late")],
    ["display", (live, id) => live.say({ type: "display", execution_id: id, mime: {}, metadata: {} })],
  ])("has no further %s: the process ends, and the session is as it was", async (_what, misdeed) => {
    const session = await startWith((live, id, far) => {
      live.finish(id, { value: "1" });
      misdeed(live, id, far);
    });
    const restored = new Promise<string>((resolve) => {
      session.subscribe({ state: (state, reason) => state === "restored" && resolve(reason) });
    });
    const { events } = await run(session, "bad");
    expect(events.map((event) => event.type)).toEqual(["result"]);
    await restored;
    expect((await result(session, "good")).value).toBe("fine");
  });
});

describe("output of a process that died", () => {
  it("is told once, whether it or the keeper sent it, and before the terminal event", async () => {
    const session = await startWith((live, _id, far) => {
      live.print("abc");
      far.endLive(null, 11, { offset: 1, text: "bcdef" });
    });
    const { stdout, terminal } = await run(session, "bad");
    expect(stdout).toBe("abcdef");
    expect(terminal.data).toMatchObject({
      reason: "process_died",
      exception_message: expect.stringContaining("SIGSEGV"),
    });
  });
});

describe("a sandbox", () => {
  it("that ends in the middle of an execution is replaced, and the loss is told", async () => {
    const session = await startWith((_live, _id, far) => far.end());
    await result(session, "good");
    expect(await failure(session, "bad")).toMatchObject({ reason: "process_died", state: "fresh" });
    expect((await result(session, "good")).value).toBe("fine");
  });

  it("whose first execution it is loses nothing with it", async () => {
    const session = await startWith((_live, _id, far) => far.end());
    expect(await failure(session, "bad")).toMatchObject({ reason: "process_died", state: "recovered" });
  });

  it("whose keeper lies is replaced", async () => {
    const session = await startWith((_live, _id, far) => far.keeper?.say({ type: "swept", id: "77", killed: 0 }));
    expect(await failure(session, "bad")).toMatchObject({ reason: "process_died" });
    expect((await result(session, "good")).value).toBe("fine");
  });
});

it("sends no code before every signal has been answered", async () => {
  const order: string[] = [];
  let answerLater: (() => void) | null = null;
  const session = await startSession({
    startSandbox: scriptedSandbox({
      execute(live, id, code) {
        order.push(code);
        if (code === "second") live.finish(id);
        else answerLater = () => live.finish(id);
      },
      signal() {
        order.push("signal");
        answerLater?.();
      },
    }),
  });
  const first = run(session, "first");
  const second = run(session, "second");
  session.interrupt();
  await Promise.all([first, second]);
  expect(order).toEqual(["first", "signal", "second"]);
});

it("wakes a copy again that did not come", async () => {
  const session = await startSession({
    startSandbox: scriptedSandbox({
      deafCopies: 2,
      execute: (live, id) => live.finish(id, { value: '"fine"', repr: "fine" }),
    }),
  });
  await result(session, "good");
  const { terminal } = await run(session, "good", { transaction_policy: "rollback_always" });
  expect(terminal).toMatchObject({ type: "result", data: { transaction: "rolled_back" } });
  const restored: string[] = [];
  session.subscribe({ state: (state) => restored.push(state) });
  expect((await result(session, "good", { transaction_policy: "rollback_always" })).value).toBe("fine");
  expect(restored).not.toContain("restored");
});
