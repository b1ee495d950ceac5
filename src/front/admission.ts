/** Owns whether a caller without a token may use a client id: it asks the ledger before the client's object exists. */
import { ProblemError } from "../problem.ts";
import { admitClient } from "../tenant/tenant-report.ts";
import { asksForToken } from "./auth.ts";
import { addressOf } from "./client-address.ts";
import type { FrontContext } from "./context.ts";

/** An admitted client is not asked about again for so long. An object that nobody uses lives longer, so its client counts all that time. */
const KNOWN_MS = 30_000;
/** Of one isolate. Beyond it the oldest are asked about again. */
const MAX_KNOWN = 10_000;

/** Until when each client is known to be admitted, the oldest first. */
const knownByEnv = new WeakMap<object, Map<string, number>>();

function knownOf(env: object): Map<string, number> {
  let known = knownByEnv.get(env);
  if (known === undefined) {
    known = new Map();
    knownByEnv.set(env, known);
  }
  return known;
}

/**
 * Counts the client if the caller has no token. With authentication the tenant is known, and its own limits hold.
 *
 * @param object the id of the client's object.
 * @throws ProblemError (as a rejection) `session_limit` if too many client ids are in use.
 */
export async function admit(context: FrontContext, object: string): Promise<void> {
  const settings = context.get("settings");
  const { MAX_ANONYMOUS_CLIENTS: max, MAX_ANONYMOUS_CLIENTS_PER_ADDRESS: maxOfAddress } = settings;
  if (asksForToken(settings) || (max === 0 && maxOfAddress === 0)) return;
  const known = knownOf(context.env);
  if ((known.get(object) ?? 0) > Date.now()) return;
  const refusal = await admitClient(context.env, { object, address: addressOf(context.req.raw, settings) });
  if (refusal !== null) {
    const whose =
      refusal === "clients"
        ? `Callers without a token have at most ${max} client ids together`
        : `Callers without a token have at most ${maxOfAddress} client ids from one address`;
    throw new ProblemError({
      code: "session_limit",
      detail: `${whose}. Use one that exists, or wait until one has expired.`,
      retryAfter: 60,
    });
  }
  known.delete(object);
  known.set(object, Date.now() + KNOWN_MS);
  for (const oldest of known.keys()) {
    if (known.size <= MAX_KNOWN) break;
    known.delete(oldest);
  }
}
