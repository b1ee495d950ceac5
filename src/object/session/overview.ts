/** Owns what clients can see of a session as a whole. */

import type { SessionOverview } from "../../protocol/session-resource.ts";
import type { NamedSession } from "./named-session.ts";

/** Memory is worth a short wait, no more. */
const STATUS_DEADLINE_MS = 2000;
const NO_MEMORY = { resident_bytes: null, limit_bytes: null };

/** The session as it is now. Never starts an interpreter. */
export async function overviewOf(session: NamedSession): Promise<SessionOverview> {
  const { record, parts, journal } = session;
  await session.catchUp();
  const memory = await memoryOf(session);
  session.flush();
  const unfinished = session.unfinished();
  const isNew = record.phase === "new" && journal.lastSeq === 0;
  return {
    client_id: parts.owner.clientId,
    session: record.name,
    state: session.state,
    created_at: isNew ? null : record.createdAt,
    last_active_at: isNew ? null : record.lastActiveAt,
    last_seq: journal.lastSeq,
    first_seq: journal.firstSeq,
    running: unfinished[0]?.executionId ?? null,
    queued: Math.max(0, unfinished.length - 1),
    pending_input: parts.executions.pendingInputOf(record.name),
    executions: parts.executions.count(record.name),
    checkpoints: parts.checkpoints.count(record.name),
    sockets: session.delivery.sockets.size,
    memory,
    runner:
      record.incarnation === null
        ? null
        : { id: record.incarnation.runnerId, version: record.incarnation.runnerVersion },
  };
}

async function memoryOf(session: NamedSession): Promise<SessionOverview["memory"]> {
  if (session.record.phase !== "live") return NO_MEMORY;
  try {
    const link = await session.incarnations.resume();
    const status = await link?.ask({ type: "status" }, STATUS_DEADLINE_MS);
    if (status?.type !== "status") return NO_MEMORY;
    return { resident_bytes: status.resident_bytes, limit_bytes: status.limit_bytes };
  } catch (error) {
    console.warn("a session's memory is not known", error instanceof Error ? error.message : "");
    return NO_MEMORY;
  }
}
