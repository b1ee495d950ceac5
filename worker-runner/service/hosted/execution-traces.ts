/** Owns the log and trace context of a session's unfinished executions: the request that caused each, and its span. */
import type { Span } from "@opentelemetry/api";
import type { EventType } from "../../../src/protocol/event.ts";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import type { LinkRequest } from "../../../src/protocol/link.ts";
import type { Logger } from "../log.ts";
import type { Tracing } from "../tracing.ts";

type ExecuteRequest = Extract<LinkRequest, { type: "execute" }>;

/** An execution that is sent again after its end gets no second ending, so its note would stay. */
const MAX_NOTED = 256;

export class ExecutionTraces {
  readonly #tracing: Tracing;
  readonly #log: Logger;
  readonly #noted = new Map<ExecutionId, { requestId: string | undefined; span: Span | null }>();

  constructor(tracing: Tracing, log: Logger) {
    this.#tracing = tracing;
    this.#log = log;
  }

  /** The edge has sent an execution. */
  begin({ execution_id: id, request_id: requestId, traceparent }: ExecuteRequest): void {
    if (this.#noted.has(id) || (requestId === undefined && traceparent === undefined)) return;
    const oldest = this.#noted.size >= MAX_NOTED ? this.#noted.keys().next().value : undefined;
    if (oldest !== undefined) this.#noted.delete(oldest);
    this.#noted.set(id, { requestId, span: this.#tracing.startSpan("run", traceparent) });
  }

  /** The request that caused an unfinished execution. */
  requestIdOf(id: ExecutionId): string | undefined {
    return this.#noted.get(id)?.requestId;
  }

  /** Its terminal event came. */
  end(id: ExecutionId, type: EventType, startedAt: number | undefined): void {
    const noted = this.#noted.get(id);
    if (noted === undefined) return;
    this.#noted.delete(id);
    this.#log.debug({ request_id: noted.requestId, execution_id: id, ending: type }, "an execution ended");
    if (noted.span === null) return;
    if (startedAt !== undefined) noted.span.addEvent("started", {}, startedAt * 1000);
    noted.span.setAttributes({ "pyrepl.execution_id": id, "pyrepl.ending": type });
    if (noted.requestId !== undefined) noted.span.setAttribute("pyrepl.request_id", noted.requestId);
    noted.span.end();
  }

  /** The session is over: what has no end yet will have none here. */
  close(): void {
    for (const { span } of this.#noted.values()) span?.setAttribute("pyrepl.ending", "none").end();
    this.#noted.clear();
  }
}
