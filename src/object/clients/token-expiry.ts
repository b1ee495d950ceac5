/** Owns closing sockets whose token has expired: the notice, the close, and the time of the next expiry. */
import { isExpired } from "../../grant.ts";
import { toProblem } from "../../problem.ts";
import type { ClientSocket } from "./client-socket.ts";
import { frameOf } from "./edge-frames.ts";

/** The close code of a socket whose token has expired. */
const CLOSE_EXPIRED = 4401;

/** Tells the client that its token has expired, and closes the socket. @returns false if the token still counts. */
export function closeIfExpired(socket: ClientSocket, nowMs: number): boolean {
  const { grant, requestId } = socket.state;
  if (grant === undefined || !isExpired(grant, nowMs)) return false;
  const detail = "The token has expired. Open another socket with a new token.";
  socket.send(frameOf({ type: "problem", data: toProblem({ code: "unauthorized", detail }, requestId) }));
  socket.close(CLOSE_EXPIRED, "the token has expired");
  return true;
}

/** When the first of these tokens expires, in milliseconds; null if none does. */
export function nextExpiryMs(sockets: Iterable<ClientSocket>): number | null {
  let nextMs: number | null = null;
  for (const { state } of sockets) {
    const expiresAt = state.grant?.expiresAt ?? null;
    if (expiresAt !== null) nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, expiresAt * 1000);
  }
  return nextMs;
}
