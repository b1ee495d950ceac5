/** Owns the rights that a token grants: the claims that narrow them, and the checks that front and object make. */
import { z } from "zod";
import type { ClientId } from "./protocol/identity.ts";

/** The claim that holds the narrowing ones. */
export const GRANT_CLAIM = "pyrepl";

const ClientPattern = z
  .string()
  .regex(/^[A-Za-z0-9._~*-]{1,128}$/, "must be a client id in which * stands for any characters");

/**
 * The claim's content. An unknown field is refused: if it were ignored, a token would allow more than its issuer meant.
 */
export const GrantClaim = z.strictObject({
  /** Client ids that the token may use. */
  client_id: z.union([ClientPattern, z.array(ClientPattern).min(1).max(16)]).optional(),
  /** Named sessions of one client. */
  sessions: z.int().positive().optional(),
  /** Only calls that change nothing. */
  read_only: z.boolean().optional(),
  /** Messages and calls a second. */
  rate: z.number().positive().optional(),
});

/** What a token allows. A field that is null does not narrow. */
export interface Grant {
  /** Unix seconds. */
  expiresAt: number | null;
  clientPatterns: string[] | null;
  sessions: number | null;
  isReadOnly: boolean;
  messagesPerSecond: number | null;
}

/** What a caller without a token may do, and one whose token narrows nothing and has no end. */
export const FULL_GRANT: Grant = {
  expiresAt: null,
  clientPatterns: null,
  sessions: null,
  isReadOnly: false,
  messagesPerSecond: null,
};

/** The grant of a verified token. @returns null if its claims are wrong. */
export function grantOf(payload: Record<string, unknown>): Grant | null {
  const claim = payload[GRANT_CLAIM];
  const parsed = GrantClaim.safeParse(claim === undefined ? {} : claim);
  if (!parsed.success) return null;
  const { client_id, sessions, read_only, rate } = parsed.data;
  return {
    expiresAt: typeof payload.exp === "number" ? payload.exp : null,
    clientPatterns: client_id === undefined ? null : [client_id].flat(),
    sessions: sessions ?? null,
    isReadOnly: read_only ?? false,
    messagesPerSecond: rate ?? null,
  };
}

function matches(pattern: string, clientId: string): boolean {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return pattern === clientId;
  if (!clientId.startsWith(head) || clientId.length < head.length + tail.length || !clientId.endsWith(tail))
    return false;
  let at = head.length;
  const end = clientId.length - tail.length;
  for (const piece of rest) {
    const found = clientId.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

/** Whether the token may use this client id. */
export function mayUseClient({ clientPatterns }: Grant, clientId: ClientId): boolean {
  return clientPatterns === null || clientPatterns.some((pattern) => matches(pattern, clientId));
}

/** Whether the token's time is over. */
export function isExpired({ expiresAt }: Grant, nowMs: number): boolean {
  return expiresAt !== null && expiresAt * 1000 <= nowMs;
}
