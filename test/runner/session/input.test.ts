import { expect, it } from "vitest";
import type { ExecutionEvent } from "../../../src/protocol/event.ts";
import type { Session } from "../../../worker-runner/index.ts";
import { collect, result, startSession } from "../borrowed-session.ts";

type InputData = Extract<ExecutionEvent, { type: "input" }>["data"];

function nextInput(session: Session): Promise<InputData> {
  return new Promise((resolve) => {
    const leave = session.subscribe({
      event: ({ type, frame }) => {
        if (type !== "input") return;
        leave();
        resolve(JSON.parse(frame).data);
      },
    });
  });
}

it("asks, shows what it waits for, and takes the first answer only", async () => {
  const session = await startSession();
  const asked = nextInput(session);
  const ended = collect(session.execute({ code: "input('name? ')", timeout: 20, id: "asks" }));
  const question = await asked;
  expect(question).toMatchObject({ prompt: "name? ", password: false, execution_id: "asks" });
  expect(question.timeout).toBeGreaterThan(15);
  expect(question.timeout).toBeLessThanOrEqual(20);
  const { pendingInput } = await session.status();
  expect(pendingInput).toMatchObject({ input_id: question.input_id, prompt: "name? ", execution_id: "asks" });
  expect(session.inputResponse("another", "x")).toBe(false);
  expect(session.inputResponse(question.input_id, "Grüße \u{1f40d}")).toBe(true);
  expect(session.inputResponse(question.input_id, "again")).toBe(false);
  expect((await ended).terminal.data).toMatchObject({ value: "Grüße \u{1f40d}" });
  expect((await session.status()).pendingInput).toBeNull();
});

it("takes null as the end of the file", async () => {
  const session = await startSession();
  const asked = nextInput(session);
  const ended = collect(session.execute({ code: "input()" }));
  session.inputResponse((await asked).input_id, null);
  expect((await ended).terminal.data).toMatchObject({ exception_type: "EOFError" });
});

it("stops waiting when it is interrupted or its time is up", async () => {
  const session = await startSession();
  const asked = nextInput(session);
  const ended = collect(session.execute({ code: "input()" }));
  const question = await asked;
  session.interrupt();
  expect((await ended).terminal.data).toMatchObject({ reason: "interrupted", state: "kept" });
  expect(session.inputResponse(question.input_id, "late")).toBe(false);
  const late = await collect(session.execute({ code: "input()", timeout: 0.2 }));
  expect(late.terminal.data).toMatchObject({ reason: "timeout", state: "kept" });
  expect((await result(session, "1")).value).toBe(1);
});
