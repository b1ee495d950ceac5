/** Owns the trace and log context of unfinished executions: the request that caused each, and its span. */
import type { ExecutionId } from "../../protocol/identity.ts";
import { exportSpans, type Span, startSpan } from "../../trace.ts";
import type { ClientStores } from "./client-stores.ts";

interface Noted {
  requestId: string;
  span: Span;
}

/** Notes are lost if the object is evicted: such an execution has no span of the edge. */
export class ExecutionSpans {
  readonly #stores: ClientStores;
  readonly #noted = new Map<ExecutionId, Noted>();

  constructor(stores: ClientStores) {
    this.#stores = stores;
  }

  /** An execution was accepted, because of the request that is being answered. */
  begin(id: ExecutionId): void {
    const { cause, settings } = this.#stores;
    if (cause === null) return;
    const span = startSpan(settings, "execution", "client", cause.traceparent);
    this.#noted.set(id, { requestId: cause.requestId, span });
  }

  /** The fields that the runner gets. */
  factsFor(id: ExecutionId): { request_id?: string; traceparent?: string } {
    const noted = this.#noted.get(id);
    if (noted === undefined) return {};
    const { traceparent } = noted.span;
    return { request_id: noted.requestId, ...(traceparent === undefined ? {} : { traceparent }) };
  }

  /** @param status as clients read it; undefined: the execution was taken back. */
  end(id: ExecutionId, status: string | undefined): void {
    const noted = this.#noted.get(id);
    if (noted === undefined) return;
    this.#noted.delete(id);
    const outcome = status ?? "refused";
    const facts = { "pyrepl.execution_id": id, "pyrepl.outcome": outcome, "pyrepl.request_id": noted.requestId };
    noted.span.end(facts, outcome !== "succeeded" && outcome !== "failed");
    exportSpans(this.#stores.settings, (work) => this.#stores.ctx.waitUntil(work));
  }
}
