/** Owns the calls on a client's executions: start, wait, read, list, stream, cancel, answer. */
import type { Grant } from "../grant.ts";
import { notFound } from "../problem.ts";
import { DEFAULT_SESSION, type ExecutionId } from "../protocol/identity.ts";
import type { ToolResult } from "../protocol/tool.ts";
import type { EventStreamFormat, SessionCalls } from "../session-calls.ts";
import { openEventStream } from "./clients/http-stream.ts";
import * as actions from "./session/actions.ts";
import type { ClientStores } from "./session/client-stores.ts";
import { pageOf } from "./session/execution-page.ts";
import { answerOf } from "./session/execution-text.ts";
import type { NamedSession } from "./session/named-session.ts";
import type { SessionBook } from "./session-book.ts";
import type { ExecutionRecord } from "./store/execution-record.ts";

type ExecuteBody = Parameters<SessionCalls["execute"]>[1];
type ExecutionQuery = Parameters<SessionCalls["listExecutions"]>[1];
type ExecutionAnswer = ReturnType<typeof answerOf>;

export class ExecutionCalls {
  readonly #stores: ClientStores;
  readonly #book: SessionBook;

  constructor(stores: ClientStores, book: SessionBook) {
    this.#stores = stores;
    this.#book = book;
  }

  /** Starts an execution, and returns once it is stored. */
  async start(body: ExecuteBody, grant: Grant | undefined) {
    const session = this.#book.use(body.session ?? DEFAULT_SESSION, grant);
    const submitted = actions.execute(
      session,
      actions.requestOf(body, this.#stores.settings.MAX_TIMEOUT_SECONDS),
      () => undefined,
    );
    if (!submitted.known) await submitted.sent;
    // Written before the answer goes out, so that the client finds the execution whatever happens.
    session.intake.flush();
    const { executionId } = submitted.record;
    return { execution_id: executionId, status: "running" as const, session: session.context.record.name };
  }

  /** @returns null if the execution still runs after `seconds`, and waits for nothing from its client. */
  async wait(executionId: ExecutionId, seconds: number): Promise<ExecutionAnswer | null> {
    const { session } = await this.#find(executionId);
    await this.#waitFor(session, executionId, seconds);
    const { record } = await this.#find(executionId);
    const hasStopped = record.status !== "running" || session.context.isWaiting(executionId);
    return hasStopped ? answerOf(record, session) : null;
  }

  async get(executionId: ExecutionId): Promise<ExecutionAnswer> {
    const { record, session } = await this.#find(executionId);
    return answerOf(record, session);
  }

  list(query: ExecutionQuery) {
    for (const session of this.#book.all()) session.intake.flush();
    return pageOf(this.#stores.executions, query, (name) => this.#book.open(name));
  }

  async stream(executionId: ExecutionId, after: number, format: EventStreamFormat) {
    const { session } = await this.#find(executionId);
    const now = () => this.#stores.executions.find(executionId);
    const isOver = () => now()?.status !== "running";
    const range = () => ({ first: now()?.firstSeq ?? null, last: now()?.lastSeq ?? null });
    const { journal, delivery } = session.context;
    const onClosed = this.#stores.waitingCalls.take();
    const pace = (bytes: number, isAgain: boolean) => this.#stores.pace(bytes, isAgain);
    return openEventStream({ journal, delivery, executionId, after, range, format, isOver, pace, onClosed });
  }

  async cancel(executionId: ExecutionId): Promise<ExecutionAnswer> {
    const { record, session } = await this.#find(executionId);
    if (record.status === "running") await actions.cancel(session, executionId);
    return this.get(executionId);
  }

  async answerInput(executionId: ExecutionId, inputId: string, value: string | null): Promise<null> {
    const { session } = await this.#find(executionId);
    await actions.answerInput(session, inputId, value, executionId);
    return null;
  }

  async answerTools(executionId: ExecutionId, results: readonly ToolResult[], waitSeconds: number) {
    const { session } = await this.#find(executionId);
    await session.tools.answerAll(results, executionId);
    if (waitSeconds > 0) await this.#waitFor(session, executionId, waitSeconds);
    return this.get(executionId);
  }

  /** @throws ProblemError `rate_limited` if too many calls of this client wait. */
  async #waitFor(session: NamedSession, executionId: ExecutionId, seconds: number): Promise<void> {
    const giveBack = this.#stores.waitingCalls.take();
    try {
      await session.submissions.waitFor(executionId, seconds);
    } finally {
      giveBack();
    }
  }

  /** @throws ProblemError `not_found`. */
  async #find(id: ExecutionId): Promise<{ record: ExecutionRecord; session: NamedSession }> {
    const known = this.#stores.executions.find(id);
    if (known === undefined) throw notFound("execution");
    const session = this.#book.open(known.session);
    if (known.status === "running") await session.catchUp();
    return { record: this.#stores.executions.find(id) ?? known, session };
  }
}
