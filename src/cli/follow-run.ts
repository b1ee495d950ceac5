/** Follows one run to its end: prints its events, and answers its questions with lines of the user. */
import type { Outcome } from "../client/outcome.ts";
import type { Run } from "../client/run.ts";
import type { RunEvent } from "../client/wire.ts";
import type { LineSource } from "./line-source.ts";

export interface FollowOptions {
  print(event: RunEvent): Promise<void>;
  /** The text on the prompt's line, which stands before the prompt. */
  takeOpenLine?(): string;
  /** Null: every question is answered with end of file. */
  lines: Pick<LineSource, "next" | "isTerminal"> | null;
  /** False where stdout is for a program, which has the prompt in the event. */
  showsPrompts?: boolean;
}

/** @returns the outcome. */
export async function followRun(run: Run, options: FollowOptions): Promise<Outcome> {
  const { print, lines, takeOpenLine = () => "", showsPrompts = true } = options;
  const over = new AbortController();
  // A question is asked beside the loop, so that an execution that ends while it waits is not held up.
  const answers: Promise<void>[] = [];
  for await (const event of run) {
    if (event.type === "result" || event.type === "error") over.abort();
    await print(event);
    if (event.type === "input") {
      const before = lines?.isTerminal ? takeOpenLine() : "";
      const question = { ...event.data, prompt: showsPrompts ? before + event.data.prompt : "" };
      answers.push(answer(run, question, lines, over.signal));
    }
  }
  await Promise.all(answers);
  return run;
}

async function answer(
  run: Run,
  { input_id: id, prompt, password }: Extract<RunEvent, { type: "input" }>["data"],
  lines: FollowOptions["lines"],
  signal: AbortSignal,
): Promise<void> {
  const line = lines === null ? null : await lines.next(prompt, { signal, isSecret: password });
  if (!signal.aborted) await run.answer(id, line);
}
