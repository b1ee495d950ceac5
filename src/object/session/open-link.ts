/** Owns opening a link to a session's interpreter: the event numbers that it begins with, and its first credit. */
import { DEFAULT_ENVIRONMENT } from "../../protocol/session-resource.ts";
import { type LinkListener, RunnerLink } from "../runner/runner-link.ts";
import { type Incarnation, RESERVE_STRIDE } from "../store/session-table.ts";
import type { SessionContext } from "./session-context.ts";

export interface SessionLinkListener extends LinkListener {
  /** The credit with which a link opens. */
  openingCredit(): number;
  /** The link can take requests. @param isNew the interpreter has just been started. */
  onReady(link: RunnerLink, isNew: boolean): void;
}

interface LinkOpening {
  /** The interpreter is to be started. */
  isNew: boolean;
  deadlineMs: number;
  requestId: string | undefined;
  traceparent: string | undefined;
  listener: SessionLinkListener;
}

/** @throws LinkError. */
export function openLink(context: SessionContext, incarnation: Incarnation, opening: LinkOpening): Promise<RunnerLink> {
  const { record, stores, journal } = context;
  const { isNew, deadlineMs, requestId, traceparent, listener } = opening;
  const base = record.reservedSeq;
  if (isNew) record.reservedSeq += RESERVE_STRIDE;
  record.isLinked = true;
  // Written before the runner gets the numbers, so that no later incarnation uses them again.
  context.save();
  return RunnerLink.open({
    url: incarnation.runnerUrl,
    key: incarnation.key,
    token: stores.settings.RUNNER_TOKEN,
    open: {
      session: record.name,
      after: isNew ? base : journal.lastSeq,
      base,
      create: isNew,
      credit: listener.openingCredit(),
      object: stores.ctx.id.toString(),
      ...(record.environment === DEFAULT_ENVIRONMENT ? {} : { environment: record.environment }),
    },
    openDeadlineMs: deadlineMs,
    requestId,
    traceparent,
    idleMs: stores.settings.LINK_IDLE_SECONDS * 1000,
    listener,
  });
}
