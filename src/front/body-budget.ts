/** Owns how many bytes of large bodies one caller may send. It counts them before a body is read, because reading costs time. */
import { RateLimit } from "../rate-limit.ts";

const MIB = 1024 * 1024;
const BYTES_PER_SECOND = 8 * MIB;
const BURST_BYTES = 32 * MIB;
/** A smaller body is counted by the client's rate of calls alone. */
export const SMALL_BODY_BYTES = 64 * 1024;
/** At most this many callers are remembered. Beyond that, the oldest is forgotten. */
const MAX_CALLERS = 1000;

const limits = new Map<string, RateLimit>();

/** Counts a body of this size. @returns 0, or the seconds to wait if the caller has sent too much. */
export function takeBody(request: Request, bytes: number): number {
  if (bytes < SMALL_BODY_BYTES) return 0;
  // With authentication, a caller that names the client id of another one has another token.
  const caller = JSON.stringify([request.headers.get("authorization"), request.headers.get("client-id")]);
  let limit = limits.get(caller);
  if (limit === undefined) {
    limit = new RateLimit(BYTES_PER_SECOND, BURST_BYTES, Date.now());
    const [first] = limits.keys();
    if (limits.size >= MAX_CALLERS && first !== undefined) limits.delete(first);
    limits.set(caller, limit);
  }
  return limit.take(Date.now(), bytes);
}
