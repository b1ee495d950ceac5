/** Owns how the front reaches a client's Durable Object: the object's name, the calls on it, and the retry of a call that broke. */
import { settingsOf } from "../env.ts";
import type { Outcome } from "../problem.ts";
import type { ClientId } from "../protocol/identity.ts";
import type { Caller, SessionCalls } from "../session-calls.ts";
import { admit } from "./admission.ts";
import { clientOfRest } from "./client-of-request.ts";
import type { FrontContext } from "./context.ts";
import { unwrap } from "./problem-response.ts";

/** The object may be evicted or replaced during a call. A new stub reaches its successor. */
const MAX_ATTEMPTS = 3;

/** What a stub offers: the RPC methods and `fetch` (for WebSockets). */
export type SessionStub = SessionCalls & { fetch(request: Request): Promise<Response> };

export interface StubMaker {
  /** The object's id. */
  object: string;
  newStub(): SessionStub;
}

/**
 * Makes stubs of the object that holds this client's sessions; tenant and client id both name it. A client is counted before its object exists.
 *
 * @throws ProblemError (as a rejection) `session_limit`.
 */
export async function openStub(context: FrontContext, clientId: ClientId): Promise<StubMaker> {
  const { CLIENT_SESSIONS } = context.env;
  const id = CLIENT_SESSIONS.idFromName(JSON.stringify([context.get("tenant"), clientId]));
  await admit(context, id.toString());
  return { object: id.toString(), newStub: () => CLIENT_SESSIONS.get(id) as unknown as SessionStub };
}

/** The caller as the object gets it. */
export function callerOf(context: FrontContext, clientId: ClientId): Caller {
  return {
    tenant: context.get("tenant"),
    clientId,
    requestId: context.get("requestId"),
    grant: context.get("grant"),
    traceparent: context.get("traceparent"),
  };
}

/** True if the platform says that the call may be repeated: it broke before or while the object was replaced. */
function isRetryable(error: unknown): boolean {
  const flags = error as { retryable?: boolean; overloaded?: boolean } | null;
  return flags?.retryable === true && flags.overloaded !== true;
}

/**
 * Makes one call on the caller's object.
 *
 * @param isRepeatable `call` may run more than once. False for a call whose body streams: it can be sent only once.
 * @throws ProblemError if the object answers with a problem, or if the request names no valid client.
 */
export async function callSession<T>(
  context: FrontContext,
  call: (session: SessionCalls, caller: Caller) => Promise<Outcome<T>>,
  isRepeatable = true,
): Promise<T> {
  const clientId = clientOfRest(context.req.raw, context.get("grant"));
  const caller = callerOf(context, clientId);
  const { newStub } = await openStub(context, clientId);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return unwrap(await call(newStub(), caller));
    } catch (error) {
      if (!isRepeatable || attempt >= MAX_ATTEMPTS || !isRetryable(error)) throw error;
    }
  }
}

/** The most bytes that a request body may have. */
export function maxBodyBytes(context: FrontContext): number {
  return settingsOf(context.env).MAX_FRAME_BYTES;
}
