/** Owns the overview of a session that clients get. */

import { logLine } from "../../log.ts";
import type { SessionName } from "../../protocol/identity.ts";
import { DEFAULT_ENVIRONMENT, type SessionOverview } from "../../protocol/session-resource.ts";
import type { ClientStores } from "./client-stores.ts";
import type { NamedSession } from "./named-session.ts";

/** How long the overview waits for the memory figures. */
const STATUS_DEADLINE_MS = 2000;
const NO_MEMORY = { resident_bytes: null, limit_bytes: null };

/** The session as it is now. Never starts an interpreter. */
export async function overviewOf(session: NamedSession): Promise<SessionOverview> {
  const { record, stores, journal, delivery, pendingInputs, pendingTools } = session.context;
  await session.catchUp();
  const { memory, undo, packages } = await statusOf(session);
  session.intake.flush();
  const { unfinished } = session.context;
  const isNew = record.phase === "new" && !record.isMade && journal.lastSeq === 0;
  return {
    client_id: stores.owner.clientId,
    session: record.name,
    state: session.context.state,
    created_at: isNew ? null : record.createdAt,
    last_active_at: isNew ? null : record.lastActiveAt,
    last_seq: journal.lastSeq,
    first_seq: journal.firstSeq,
    running: unfinished[0]?.executionId ?? null,
    queued: Math.max(0, unfinished.length - 1),
    restored: record.restored?.note ?? null,
    pending_input: pendingInputs.current,
    pending_tool_calls: pendingTools.current,
    environment: record.environment,
    ...(record.region === undefined ? {} : { region: record.region }),
    env_names: record.env?.names ?? [],
    saved: savedOf(session),
    undo,
    packages,
    executions: stores.executions.count(record.name),
    checkpoints: stores.checkpoints.count(record.name),
    sockets: delivery.sockets.size,
    memory,
    runner:
      record.incarnation === null
        ? null
        : { id: record.incarnation.runnerId, version: record.incarnation.runnerVersion },
    ...(record.saveFailure === undefined
      ? {}
      : {
          save_failed: {
            attempts: record.saveFailure.attempts,
            at: record.saveFailure.at,
            next_attempt_at: record.saveFailure.nextAttemptAt,
          },
        }),
  };
}

/** A session that the client has never used. */
export function overviewOfUnused(stores: ClientStores, name: SessionName): SessionOverview {
  return {
    client_id: stores.owner.clientId,
    session: name,
    state: "ready",
    created_at: null,
    last_active_at: null,
    last_seq: 0,
    first_seq: 0,
    running: null,
    queued: 0,
    restored: null,
    pending_input: null,
    pending_tool_calls: [],
    environment: DEFAULT_ENVIRONMENT,
    env_names: [],
    saved: null,
    undo: [],
    packages: [],
    executions: 0,
    checkpoints: 0,
    sockets: 0,
    memory: NO_MEMORY,
    runner: null,
  };
}

/** The newest state in the store. */
function savedOf({ context: { record, stores } }: NamedSession): SessionOverview["saved"] {
  const checkpoint = record.recoveryId === null ? null : stores.checkpoints.find(record.recoveryId);
  if (checkpoint === null || !checkpoint.durable) return null;
  return { at: checkpoint.createdAt, is_current: !record.isDirty };
}

/** What only the runner knows. */
async function statusOf(session: NamedSession): Promise<Pick<SessionOverview, "memory" | "undo" | "packages">> {
  const unknown = { memory: NO_MEMORY, undo: [], packages: session.context.record.packages };
  if (session.context.record.phase !== "live") return unknown;
  try {
    const link = await session.incarnations.resume();
    const status = await link?.ask({ type: "status" }, STATUS_DEADLINE_MS);
    if (status?.type !== "status") return unknown;
    const { resident_bytes, limit_bytes, undo, packages } = status;
    return { memory: { resident_bytes, limit_bytes }, undo, packages };
  } catch (error) {
    logLine("warn", "a session's memory, undo list and packages are not known", { error });
    return unknown;
  }
}
