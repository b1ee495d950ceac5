/** Owns one page of a client's list of executions: newest first, with their content as far as a page's size goes. */

import type { z } from "zod";
import { sleep } from "../../deadline.ts";
import { takeTurn } from "../../pace.ts";
import { ProblemError } from "../../problem.ts";
import type { SessionName } from "../../protocol/identity.ts";
import type { Execution, ExecutionList } from "../../protocol/rest.ts";
import type { ExecutionRecord } from "../store/execution-record.ts";
import type { ExecutionTable } from "../store/execution-table.ts";
import { jsonBytesOf, withoutContent } from "./execution-size.ts";
import { bytesOfExecution } from "./execution-text.ts";
import { lastEventOf, viewOf, viewWithout } from "./execution-view.ts";
import type { NamedSession } from "./named-session.ts";

const MIB = 1024 * 1024;
/** One page of executions, as JSON. */
const PAGE_MAX_BYTES = 4 * MIB;
/** An execution without its content, at most; kept free for each execution of a page. */
const SHORT_VIEW_BYTES = 8 * 1024;
/** JSON of output has at most twice the bytes of its events; more is certainly too large for the rest of the page. */
const CERTAIN_FACTOR = 2;
/** What reading an execution's ending alone costs. */
const ENDING_BYTES = 64 * 1024;

/**
 * One page of executions; `next` is the `before` of the page after. Content is given as far as a page's budget goes, the newest
 * first. Content that is left out reads as truncated, and is there in the execution itself.
 *
 * @throws ProblemError if `before` is not the `next` of a page, or if the client has read too much already.
 */
export async function pageOf(
  executions: ExecutionTable,
  query: { session?: SessionName; limit: number; before?: string },
  sessionOf: (name: SessionName) => NamedSession,
): Promise<z.infer<typeof ExecutionList>> {
  const before = query.before === undefined ? Number.MAX_SAFE_INTEGER : Number(query.before);
  if (!Number.isSafeInteger(before)) {
    throw new ProblemError({ code: "invalid_request", detail: "`before` is the `next` of the page before." });
  }
  const found = executions.list(query.session, query.limit + 1, before);
  const page = found.slice(0, query.limit);
  const last = found.length > query.limit ? page.at(-1) : undefined;
  let left = PAGE_MAX_BYTES - page.length * SHORT_VIEW_BYTES;
  const shown: Execution[] = [];
  for (const record of page) {
    const session = sessionOf(record.session);
    const { view, bytes } = await fittingView(record, session, left);
    left -= bytes;
    shown.push(view);
  }
  return { executions: shown, next: last === undefined ? null : String(last.ordinal) };
}

/** The view of an execution if it fits into what is left of a page, else the view without its content. */
async function fittingView(record: ExecutionRecord, session: NamedSession, left: number) {
  const size = bytesOfExecution(record, session) + (record.code?.length ?? 0);
  const isTooLarge = size > CERTAIN_FACTOR * Math.max(0, left);
  const cost = isTooLarge ? ENDING_BYTES : size;
  session.context.stores.chargeRead(cost);
  const waitMs = takeTurn(cost);
  if (waitMs > 0) await sleep(waitMs);
  if (isTooLarge) {
    const ending = lastEventOf(record, session);
    return { view: withoutContent(viewWithout(record, session, ending)), bytes: 0 };
  }
  const view = viewOf(record, session);
  const bytes = jsonBytesOf(view);
  return bytes > left ? { view: withoutContent(view), bytes: 0 } : { view, bytes };
}
