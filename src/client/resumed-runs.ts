/** Owns the runs of executions that another program, or an earlier client, submitted: their events come over HTTP, from the first one on. */
import { Answering } from "./answering.ts";
import { ClientError } from "./client-error.ts";
import type { ExecutionCalls } from "./execution-calls.ts";
import { takeUpOverHttp } from "./http-run.ts";
import type { Rest } from "./rest.ts";
import { Run, type RunReach } from "./run.ts";
import type { ResumeSettings, Tools } from "./run-options.ts";

export interface ResumedRunsOptions {
  rest: Rest;
  calls: ExecutionCalls;
  resumeTimeoutMs: number;
}

export class ResumedRuns implements RunReach {
  readonly #options: ResumedRunsOptions;
  readonly #runs = new Map<string, Run>();

  constructor(options: ResumedRunsOptions) {
    this.#options = options;
  }

  has(id: string): boolean {
    return this.#runs.has(id);
  }

  /** @param sessionTools answers the calls of these beside those of the settings. */
  resume(id: string, settings: ResumeSettings, sessionTools: Tools): Run {
    const { rest, calls, resumeTimeoutMs } = this.#options;
    const { signal } = settings;
    const answering = new Answering({
      settings,
      toolOf: (name) => settings.tools?.[name] ?? sessionTools[name],
      isPending: (event) => calls.isPending(id, event),
      sendInput: (inputId, value) => calls.answerInput(id, inputId, value),
      sendToolResult: (answer) => calls.answerTool(id, answer),
      failed: (error) => {
        // The call is over by now, by a timeout or another client's answer.
        if (error instanceof ClientError && error.code === "not_found") return;
        this.cancel(id).catch(() => undefined);
        run.fail(error);
      },
    });
    const run: Run = new Run({
      executionId: id,
      keepsOutput: settings.keepOutput !== false,
      reach: this,
      listen: (event) => answering.take(event),
    });
    if (signal?.aborted) {
      run.fail(signal.reason);
      return run;
    }
    this.#runs.set(id, run);
    const onAbort = () => void run.cancel().catch((error: unknown) => run.fail(error));
    signal?.addEventListener("abort", onAbort, { once: true });
    const forget = () => {
      this.#runs.delete(id);
      signal?.removeEventListener("abort", onAbort);
    };
    run.then(forget, forget);
    takeUpOverHttp(rest, run, resumeTimeoutMs).catch((error: unknown) => run.fail(error));
    return run;
  }

  cancel(id: string): Promise<void> {
    return this.#options.calls.cancel(id);
  }

  answerInput(id: string, inputId: string, value: string | null): Promise<void> {
    return this.#options.calls.answerInput(id, inputId, value);
  }

  progressed(): void {
    // Events over HTTP are read as they come: there is no window to hold.
  }

  fail(error: ClientError): void {
    for (const run of [...this.#runs.values()]) run.fail(error);
  }
}
