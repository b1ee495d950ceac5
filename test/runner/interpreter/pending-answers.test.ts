/** Owns the proof that a question ends once: in its answer, its deadline or the process's end. */
import { expect, it } from "vitest";
import { ChannelViolation } from "../../../worker-runner/channel/framing.ts";
import { PendingAnswers, Unanswered } from "../../../worker-runner/interpreter/pending-answers.ts";

const NEVER_MS = 60_000;

it("gives each question its own answer", async () => {
  const answers = new PendingAnswers<{ id: string; value: number }>();
  const ids: string[] = [];
  const first = answers.ask("a sum", NEVER_MS, (id) => ids.push(id));
  const second = answers.ask("a sum", NEVER_MS, (id) => ids.push(id));
  answers.settle({ id: ids[1] ?? "", value: 2 });
  answers.settle({ id: ids[0] ?? "", value: 1 });
  expect([(await first).value, (await second).value]).toEqual([1, 2]);
});

it("takes an answer that comes late for late, once, and any other for a violation", async () => {
  const answers = new PendingAnswers<{ id: string }>();
  let asked = "";
  const question = answers.ask("a sum", 1, (id) => {
    asked = id;
  });
  await expect(question).rejects.toThrow(Unanswered);
  answers.settle({ id: asked });
  expect(() => answers.settle({ id: asked })).toThrow(ChannelViolation);
  expect(() => answers.settle({ id: "never asked" })).toThrow(ChannelViolation);
});

it("reads what has arrived before it gives up, where the runner itself was late", async () => {
  const answers = new PendingAnswers<{ id: string }>();
  let asked = "";
  const question = answers.ask("a sum", 1, (id) => {
    asked = id;
  });
  const stallEnds = performance.now() + 20;
  // As a socket's data would, the answer comes in the phase of the event loop after the timers'.
  setImmediate(() => answers.settle({ id: asked }));
  while (performance.now() < stallEnds);
  await expect(question).resolves.toEqual({ id: asked });
});

it("ends what is open, and what comes later, with the process", async () => {
  const answers = new PendingAnswers<{ id: string }>();
  const open = answers.ask("a sum", NEVER_MS, () => undefined);
  answers.end("the process ended");
  await expect(open).rejects.toThrow("the process ended");
  await expect(answers.ask("a sum", NEVER_MS, () => undefined)).rejects.toThrow("the process ended");
});
