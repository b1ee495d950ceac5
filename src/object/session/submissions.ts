/** Owns the way of executions to the runner: what waits for a link, who is to hear of a refusal, who waits for an end. */

import type { ProblemInit } from "../../problem.ts";
import type { ExecutionId } from "../../protocol/identity.ts";
import type { RunnerLink } from "../runner/runner-link.ts";
import type { ExecutionRecord } from "../store/execution-table.ts";
import type { ClientStores } from "./client-stores.ts";
import type { Incarnations } from "./incarnations.ts";

export interface SubmissionsHost {
  readonly parts: ClientStores;
  readonly incarnations: Incarnations;
  unfinished(): ExecutionRecord[];
  /** What is unfinished has changed. */
  noteActivity(): void;
}

export class Submissions {
  readonly #host: SubmissionsHost;
  /** Accepted, but not sent to any runner yet. */
  readonly #unsent = new Set<ExecutionId>();
  readonly #refusals = new Map<ExecutionId, (problem: ProblemInit) => void>();
  readonly #waiters = new Map<ExecutionId, Set<() => void>>();

  constructor(host: SubmissionsHost) {
    this.#host = host;
  }

  /**
   * Sends an execution to the runner; `onRefused` is called should the runner not take it.
   *
   * @returns null where it is on its way, or a promise that it will be.
   */
  submit(record: ExecutionRecord, onRefused: (problem: ProblemInit) => void): Promise<void> | null {
    this.#refusals.set(record.executionId, onRefused);
    const link = this.#host.incarnations.ready;
    if (link !== null) {
      this.#send(link, record);
      return null;
    }
    this.#unsent.add(record.executionId);
    return this.#host.incarnations.ensure().then(
      () => undefined,
      (error: unknown) => {
        this.#takeBack(record);
        throw error;
      },
    );
  }

  /** False where some runner may have begun with it. */
  isUnsent(id: ExecutionId): boolean {
    return this.#unsent.has(id);
  }

  /** Sends what a newly linked runner does not have yet. Sent twice, it runs once all the same. */
  sendAll(link: RunnerLink, known: ReadonlySet<ExecutionId>): void {
    for (const record of this.#host.unfinished()) {
      if (record.code !== null && !known.has(record.executionId)) this.#send(link, record);
    }
  }

  /** The runner would not take an execution that the edge has let in: it never was one. */
  refused(id: ExecutionId, problem: ProblemInit): void {
    const record = this.#host.parts.executions.held(id);
    if (record?.status !== "running") return;
    this.#refusals.get(id)?.(problem);
    this.#takeBack(record);
  }

  ended(id: ExecutionId): void {
    this.#refusals.delete(id);
    for (const wake of this.#waiters.get(id) ?? []) wake();
  }

  /** Resolves when the execution has ended, or after `seconds`. */
  async waitFor(id: ExecutionId, seconds: number): Promise<void> {
    const ended = Promise.withResolvers<void>();
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters.add(ended.resolve));
    const timer = setTimeout(ended.resolve, seconds * 1000);
    await ended.promise;
    clearTimeout(timer);
    waiters.delete(ended.resolve);
    if (waiters.size === 0) this.#waiters.delete(id);
  }

  #send(link: RunnerLink, record: ExecutionRecord): void {
    this.#unsent.delete(record.executionId);
    link.tell({
      type: "execute",
      execution_id: record.executionId,
      code: record.code ?? "",
      transaction_policy: record.policy,
      timeout: record.timeout,
    });
  }

  #takeBack(record: ExecutionRecord): void {
    this.#unsent.delete(record.executionId);
    this.#host.parts.executions.remove(record);
    this.ended(record.executionId);
    this.#host.noteActivity();
  }
}
