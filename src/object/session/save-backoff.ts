/** Owns when the edge tries again to store a session after a failure: each pause is twice as long, up to an hour. */
import type { SessionRecord } from "../store/session-table.ts";

const FIRST_PAUSE_SECONDS = 60;
const LONGEST_PAUSE_SECONDS = 3_600;

/** Whether the session may be stored now, by itself. A client that asks for a checkpoint does not wait. */
export function isSaveDue({ saveFailure }: SessionRecord): boolean {
  return saveFailure === undefined || Date.now() / 1000 >= saveFailure.nextAttemptAt;
}

export function noteSaveFailed(record: SessionRecord): void {
  const attempts = (record.saveFailure?.attempts ?? 0) + 1;
  const at = Date.now() / 1000;
  const pause = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (attempts - 1));
  record.saveFailure = { attempts, at, nextAttemptAt: at + pause };
}

export function noteSaved(record: SessionRecord): void {
  record.saveFailure = undefined;
}
