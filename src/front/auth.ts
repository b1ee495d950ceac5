/** Owns who is calling: it turns a bearer token into a tenant and what the token allows, by the same checks for HTTP and WebSocket. */
import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose";
import type { Settings } from "../env.ts";
import { FULL_GRANT, type Grant, grantOf } from "../grant.ts";
import { ProblemError } from "../problem.ts";
import { ANONYMOUS_TENANT } from "../tenant/tenant-report.ts";

export const SUBPROTOCOL = "pyrepl.v1";
const BEARER_SUBPROTOCOL = "pyrepl.bearer.";

const MAX_TOKEN_CHARS = 8192;
const MAX_TENANT_CHARS = 255;
/** Cannot stand in the header that tells the object its tenant. */
const HALF_CHARACTER = /\p{Surrogate}/u;
const SECRET_ALGORITHM = "HS256";
const KEY_SET_ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519"];
/** Header fields by which a token would bring, or point to, its own key. */
const KEY_BEARING_HEADERS = ["jku", "jwk", "x5u", "x5c"];

/** Who is calling, and what its token allows. */
export interface Identity {
  tenant: string;
  grant: Grant;
}

/** All that a caller may know about a token that does not verify. */
const REFUSED = "The token is not accepted.";

const keySets = new Map<string, JWTVerifyGetKey>();

function keySetAt(url: string): JWTVerifyGetKey {
  let keySet = keySets.get(url);
  if (keySet === undefined) {
    keySet = createRemoteJWKSet(new URL(url), { timeoutDuration: 5000, cooldownDuration: 30_000 });
    keySets.set(url, keySet);
  }
  return keySet;
}

function unauthorized(detail: string): ProblemError {
  return new ProblemError({ code: "unauthorized", detail });
}

/** The subprotocols that a WebSocket client offers, in its order. */
export function offeredSubprotocols(request: Request): string[] {
  return (request.headers.get("sec-websocket-protocol") ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

function tokenOf(request: Request): string | null {
  const authorization = request.headers.get("authorization");
  if (authorization !== null) {
    const token = /^Bearer +([^\s]+)$/i.exec(authorization.trim())?.[1];
    if (token === undefined) throw unauthorized("The Authorization header is not `Bearer <token>`.");
    return token;
  }
  // A browser cannot set headers on a WebSocket, so there the token is one of the offered subprotocols.
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return null;
  const offered = offeredSubprotocols(request).find((name) => name.startsWith(BEARER_SUBPROTOCOL));
  return offered?.slice(BEARER_SUBPROTOCOL.length) ?? null;
}

/** Failures of the key set's server, which say nothing about the caller's token. */
const KEY_SET_FAILURES = ["ERR_JWKS_TIMEOUT", "ERR_JWKS_INVALID", "ERR_JOSE_GENERIC"];

function isAboutToken(error: unknown): boolean {
  return error instanceof errors.JOSEError && !KEY_SET_FAILURES.includes(error.code);
}

/** The algorithm that the token names. @throws ProblemError if the text is not a token, or if the token brings its own key. */
function algorithmOf(token: string): string | undefined {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    throw unauthorized(REFUSED);
  }
  if (KEY_BEARING_HEADERS.some((name) => Object.hasOwn(header, name))) throw unauthorized(REFUSED);
  return header.alg;
}

/** Verifies against the key set; a token without `kid` is tried with each key of its kind. */
async function verifyWithKeySet(token: string, url: string, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keySetAt(url), options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (mismatch) {
        if (!(mismatch instanceof errors.JWSSignatureVerificationFailed)) throw mismatch;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

async function payloadOf(token: string, settings: Settings): Promise<JWTPayload> {
  const algorithm = algorithmOf(token);
  const options = {
    requiredClaims: ["sub"],
    ...(settings.JWT_ISSUER === undefined ? {} : { issuer: settings.JWT_ISSUER }),
    ...(settings.JWT_AUDIENCE === undefined ? {} : { audience: settings.JWT_AUDIENCE }),
  };
  // Each key serves its own kind of algorithm only, so that a public key can never be taken for a shared secret.
  if (algorithm === SECRET_ALGORITHM && settings.JWT_SECRET !== undefined) {
    const secret = new TextEncoder().encode(settings.JWT_SECRET);
    return (await jwtVerify(token, secret, { ...options, algorithms: [SECRET_ALGORITHM] })).payload;
  }
  if (settings.JWKS_URL === undefined) throw unauthorized(REFUSED);
  return verifyWithKeySet(token, settings.JWKS_URL, { ...options, algorithms: KEY_SET_ALGORITHMS });
}

/** Whether authentication is on. */
export function asksForToken({ JWT_SECRET, JWKS_URL }: Settings): boolean {
  return JWT_SECRET !== undefined || JWKS_URL !== undefined;
}

/**
 * Establishes who sent a request. The tenant is the token's `sub`, or `anonymous` if authentication is off.
 *
 * @throws ProblemError `unauthorized`; any other error means that the key set could not be fetched.
 */
export async function authenticate(request: Request, settings: Settings): Promise<Identity> {
  if (!asksForToken(settings)) return { tenant: ANONYMOUS_TENANT, grant: FULL_GRANT };
  const token = tokenOf(request);
  if (token === null) throw unauthorized("Send `Authorization: Bearer <token>`.");
  if (token.length > MAX_TOKEN_CHARS) throw unauthorized(REFUSED);
  let payload: JWTPayload;
  try {
    payload = await payloadOf(token, settings);
  } catch (error) {
    if (!isAboutToken(error)) throw error;
    throw unauthorized(error instanceof errors.JWTExpired ? "The token has expired." : REFUSED);
  }
  const { sub } = payload;
  if (typeof sub !== "string" || sub === "" || sub.length > MAX_TENANT_CHARS || HALF_CHARACTER.test(sub)) {
    throw unauthorized("The token names no subject.");
  }
  const grant = grantOf(payload);
  if (grant === null) throw unauthorized("The token's claim `pyrepl` is not valid.");
  return { tenant: sub, grant };
}
