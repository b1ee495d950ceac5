/** Owns sending executions to the runner: those that wait for a link, the callers to inform of a refusal, and the callers that wait for an end. */

import { sleep, waitAtMost } from "../../deadline.ts";
import { edgeMetrics } from "../../metrics.ts";
import type { ProblemInit } from "../../problem.ts";
import type { ExecutionId } from "../../protocol/identity.ts";
import type { RunnerLink } from "../runner/runner-link.ts";
import type { ExecutionRecord } from "../store/execution-record.ts";
import { ExecutionSpans } from "./execution-spans.ts";
import type { Incarnations } from "./incarnations.ts";
import type { SessionContext } from "./session-context.ts";

/** Calls that code makes together arrive within this time. */
const TOGETHER_MS = 10;

export class Submissions {
  readonly #context: SessionContext;
  readonly #incarnations: Incarnations;
  readonly #refusals = new Map<ExecutionId, (problem: ProblemInit) => void>();
  readonly #waiters = new Map<ExecutionId, Set<() => void>>();
  /** Executions that wait for an answer, and whose waiters are told in a moment. */
  readonly #stopping = new Set<ExecutionId>();
  readonly #spans: ExecutionSpans;

  constructor(context: SessionContext, incarnations: Incarnations) {
    this.#context = context;
    this.#incarnations = incarnations;
    this.#spans = new ExecutionSpans(context.stores);
  }

  /**
   * Sends an execution to the runner; `onRefused` is called if the runner does not take it. Without a link, the execution
   * waits: `sendAll` sends it once `ensure` has brought a link up.
   *
   * @returns null if it was sent, or a promise that it will be.
   */
  submit(record: ExecutionRecord, onRefused: (problem: ProblemInit) => void): Promise<void> | null {
    this.#refusals.set(record.executionId, onRefused);
    this.#spans.begin(record.executionId);
    const { stores, record: session } = this.#context;
    const admission = stores.tenant.admit("executions", session.name);
    const link = this.#incarnations.ready;
    // Executions that wait already go first.
    if (link !== null && admission === null && this.#context.unsent.size === 0) {
      this.#send(link, record);
      return null;
    }
    this.#context.unsent.add(record.executionId);
    return this.#sendLater(admission).catch((error: unknown) => {
      // A link that opened meanwhile may have taken it along.
      if (!this.#context.unsent.has(record.executionId)) return;
      this.#takeBack(record);
      throw error;
    });
  }

  async #sendLater(admission: Promise<void> | null): Promise<void> {
    if (admission !== null) await admission;
    const link = await this.#incarnations.ensure();
    for (const waiting of this.#context.unfinished) {
      if (this.#context.unsent.has(waiting.executionId)) this.#send(link, waiting);
    }
  }

  /** False if a runner may have started it. */
  isUnsent(id: ExecutionId): boolean {
    return this.#context.unsent.has(id);
  }

  /** Sends what a newly linked runner does not have yet. An execution that is sent twice still runs once. */
  sendAll(link: RunnerLink, known: ReadonlySet<ExecutionId>): void {
    for (const record of this.#context.unfinished) {
      if (record.code !== null && !known.has(record.executionId)) this.#send(link, record);
    }
  }

  /** The runner refused an execution that the edge had accepted: the execution is removed. */
  onRefused(id: ExecutionId, problem: ProblemInit): void {
    const record = this.#context.stores.executions.held(id);
    if (record?.status !== "running") return;
    this.#refusals.get(id)?.(problem);
    this.#takeBack(record);
  }

  onEnded(id: ExecutionId): void {
    this.#refusals.delete(id);
    const status = this.#context.stores.executions.held(id)?.status;
    if (status !== undefined) edgeMetrics.executions.add({ outcome: status });
    this.#spans.end(id, status);
    for (const wake of this.#waiters.get(id) ?? []) wake();
  }

  /** The code waits for an answer: who waits for its next stop is told, once the calls that it makes together are all here. */
  onWaiting(id: ExecutionId): void {
    if (!this.#waiters.has(id) || this.#stopping.has(id)) return;
    this.#stopping.add(id);
    setTimeout(() => {
      this.#stopping.delete(id);
      for (const wake of this.#waiters.get(id) ?? []) wake();
    }, TOGETHER_MS);
  }

  /** Resolves when the execution has ended or waits for an answer, or after `seconds`. */
  async waitFor(id: ExecutionId, seconds: number): Promise<void> {
    if (this.#context.stores.executions.find(id)?.status !== "running") return;
    if (this.#context.isWaiting(id)) {
      await sleep(Math.min(TOGETHER_MS, seconds * 1000));
      return;
    }
    const ended = Promise.withResolvers<void>();
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters.add(ended.resolve));
    await waitAtMost(ended.promise, seconds * 1000);
    waiters.delete(ended.resolve);
    if (waiters.size === 0) this.#waiters.delete(id);
  }

  #send(link: RunnerLink, record: ExecutionRecord): void {
    this.#context.unsent.delete(record.executionId);
    this.#noteFirst(record.executionId);
    link.tell({
      type: "execute",
      execution_id: record.executionId,
      code: record.code ?? "",
      transaction_policy: record.policy,
      timeout: record.timeout,
      ...(record.reportsFiles ? { report_files: true } : {}),
      ...this.#context.stores.tools.ofExecution(record.executionId),
      ...this.#spans.factsFor(record.executionId),
    });
  }

  /** The first execution after the session was brought back tells its client so. */
  #noteFirst(id: ExecutionId): void {
    const { restored } = this.#context.record;
    if (restored === null || restored.executionId !== null) return;
    restored.executionId = id;
    this.#context.save();
  }

  #takeBack(record: ExecutionRecord): void {
    this.#context.unsent.delete(record.executionId);
    const { restored } = this.#context.record;
    if (restored?.executionId === record.executionId) restored.executionId = null;
    this.#context.stores.executions.remove(record);
    this.#context.stores.tools.forgetExecution(record.executionId);
    this.onEnded(record.executionId);
    this.#context.noteActivity();
  }
}
