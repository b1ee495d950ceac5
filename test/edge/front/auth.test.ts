/** Who is calling: good tokens name their tenant; every known way to forge one is refused alike, on HTTP and on WebSocket. */
import { exportJWK, exportPKCS8, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { call, ok, problemOf, testFront } from "../support/front.ts";

const SECRET = "a secret of at least thirty-two characters";
const JWKS_URL = "https://issuer.test/keys";
const bytes = (text: string) => new TextEncoder().encode(text);
const inAMinute = () => Math.floor(Date.now() / 1000) + 60;

function signed(claims: JWTPayload, header = {}, secret = SECRET): Promise<string> {
  return new SignJWT({ exp: inAMinute(), ...claims })
    .setProtectedHeader({ alg: "HS256", ...header })
    .sign(bytes(secret));
}

async function statusFor(token: string, variables: Record<string, unknown>): Promise<number> {
  const front = testFront(variables, { listSessions: () => ok({ sessions: [] }) });
  const response = await call(front, "GET", "/api/v1/sessions", undefined, { authorization: `Bearer ${token}` });
  if (response.status !== 200) {
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect((await problemOf(response)).code).toBe("unauthorized");
    expect(front.calls).toEqual([]);
  }
  return response.status;
}

describe("with a shared secret", () => {
  const on = { JWT_SECRET: SECRET, JWT_ISSUER: "https://issuer.test", JWT_AUDIENCE: "pyrepl" };
  const claims = { sub: "tenant-1", iss: "https://issuer.test", aud: "pyrepl" };

  it("takes one that has no end", async () => {
    const token = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(bytes(SECRET));
    const front = testFront(on, { listSessions: () => ok({ sessions: [] }) });
    const headers = { authorization: `Bearer ${token}` };
    expect((await call(front, "GET", "/api/v1/sessions", undefined, headers)).status).toBe(200);
  });

  it("takes the tenant from sub and addresses the object by tenant and client", async () => {
    const front = testFront(on, { listSessions: () => ok({ sessions: [] }) });
    const token = await signed(claims);
    const response = await call(front, "GET", "/api/v1/sessions", undefined, { authorization: `bearer ${token}` });
    expect(response.status).toBe(200);
    expect(front.calls).toMatchObject([
      { object: '["tenant-1","ada"]', args: [{ tenant: "tenant-1", clientId: "ada" }] },
    ]);
  });

  it("never lets two tenants with the same client id meet", async () => {
    const names = new Set<string>();
    for (const sub of ["a", 'a","x', "b"]) {
      const front = testFront(on, { listSessions: () => ok({ sessions: [] }) });
      await call(front, "GET", "/api/v1/sessions", undefined, {
        authorization: `Bearer ${await signed({ ...claims, sub })}`,
      });
      names.add(front.calls[0]?.object ?? "none");
    }
    expect(names.size).toBe(3);
  });

  it("refuses a call without a token", async () => {
    const response = await call(testFront(on), "GET", "/api/v1/sessions");
    expect(response.status).toBe(401);
    expect((await problemOf(response)).code).toBe("unauthorized");
  });

  it("refuses a token in the URL", async () => {
    const token = await signed(claims);
    for (const name of ["token", "access_token", "jwt", "authorization"]) {
      expect((await call(testFront(on), "GET", `/api/v1/sessions?${name}=${token}`)).status).toBe(401);
    }
  });

  it.each<[string, () => Promise<string> | string]>([
    ["an expired one", () => signed({ ...claims, exp: inAMinute() - 120 })],
    ["one that has just expired", () => signed({ ...claims, exp: inAMinute() - 60 })],
    ["one that is not valid yet", () => signed({ ...claims, nbf: inAMinute() + 60 })],
    ["another issuer's", () => signed({ ...claims, iss: "https://other.test" })],
    ["one for another audience", () => signed({ ...claims, aud: "other" })],
    ["one without an audience", () => signed({ sub: "x", iss: claims.iss })],
    ["one without a subject", () => signed({ iss: claims.iss, aud: claims.aud })],
    ["one with an empty subject", () => signed({ ...claims, sub: "" })],
    ["one whose subject is a number", () => signed({ ...claims, sub: 7 as unknown as string })],
    ["one whose subject is a list", () => signed({ ...claims, sub: ["a"] as unknown as string })],
    ["one with a huge subject", () => signed({ ...claims, sub: "x".repeat(300) })],
    ["one whose subject has half a character", () => signed({ ...claims, sub: "a\ud800" })],
    ["one signed with another secret", () => signed(claims, {}, "some other secret of thirty-two chars!")],
    ["an unsigned one", () => new UnsecuredJWT({ ...claims, exp: inAMinute() }).encode()],
    [
      "one with another HMAC",
      async () => new SignJWT({ ...claims, exp: inAMinute() }).setProtectedHeader({ alg: "HS512" }).sign(bytes(SECRET)),
    ],
    ["one that brings a key set", () => signed(claims, { jku: "https://evil.test/keys" })],
    ["one that brings a key", () => signed(claims, { jwk: { kty: "oct", k: "AAAA" } })],
    ["one that brings a certificate", () => signed(claims, { x5u: "https://evil.test/cert" })],
    ["one with a cut signature", async () => (await signed(claims)).slice(0, -2)],
    ["one without a signature", async () => `${(await signed(claims)).split(".").slice(0, 2).join(".")}.`],
    [
      "one with a changed payload",
      async () => {
        const [header, , signature] = (await signed(claims)).split(".");
        return `${header}.${btoa(JSON.stringify({ ...claims, sub: "other", exp: inAMinute() }))}.${signature}`;
      },
    ],
    ["no JWT", () => "abc"],
    ["an empty JWT", () => ".."],
    ["a huge one", () => "a".repeat(10_000)],
  ])("refuses %s", async (_name, token) => {
    expect(await statusFor(await token(), on)).toBe(401);
  });

  it.each(["Basic YTpi", "Bearer", "Bearer a b", "Token x", ""])("refuses the header %j", async (authorization) => {
    const response = await call(testFront(on), "GET", "/api/v1/sessions", undefined, { authorization });
    expect(response.status).toBe(401);
  });
});

describe("with a key set", () => {
  type Pair = CryptoKeyPair;
  let rsa: Pair;
  let ec: Pair;
  let ed: Pair;
  const on = { JWKS_URL };
  const keys = async () => [
    { ...(await exportJWK(rsa.publicKey)), kid: "rsa", alg: "RS256", use: "sig" },
    { ...(await exportJWK(ec.publicKey)), kid: "ec", alg: "ES256", use: "sig" },
    { ...(await exportJWK(ed.publicKey)), kid: "ed", alg: "EdDSA", use: "sig" },
  ];

  beforeAll(async () => {
    rsa = await generateKeyPair("RS256", { extractable: true });
    ec = await generateKeyPair("ES256", { extractable: true });
    ed = await generateKeyPair("EdDSA", { extractable: true });
    const set = { keys: await keys() };
    vi.stubGlobal("fetch", async (url: string | URL | Request) => {
      const asked = url instanceof Request ? url.url : String(url);
      if (asked !== JWKS_URL) throw new Error(`nothing else may be asked: ${asked}`);
      return Response.json(set);
    });
    return () => vi.unstubAllGlobals();
  });

  const signWith = (pair: Pair, alg: string, kid?: string) =>
    new SignJWT({ sub: "t", exp: inAMinute() })
      .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
      .sign(pair.privateKey);

  it("takes RS256, ES256 and EdDSA, with and without a key id", async () => {
    for (const [pair, alg, kid] of [
      [rsa, "RS256", "rsa"],
      [ec, "ES256", "ec"],
      [ed, "EdDSA", "ed"],
    ] as const) {
      expect(await statusFor(await signWith(pair, alg, kid), on)).toBe(200);
      expect(await statusFor(await signWith(pair, alg), on)).toBe(200);
    }
  });

  it("refuses a public key used as a shared secret", async () => {
    for (const secret of [
      await exportSPKI(rsa.publicKey),
      JSON.stringify(await exportJWK(rsa.publicKey)),
      await exportPKCS8(rsa.privateKey),
    ]) {
      for (const kid of ["rsa", undefined]) {
        expect(await statusFor(await signed({ sub: "t" }, { kid }, secret), on)).toBe(401);
        expect(await statusFor(await signed({ sub: "t" }, { kid }, secret), { ...on, JWT_SECRET: SECRET })).toBe(401);
      }
    }
  });

  it.each(["RS512", "PS256", "none", "HS256"])("refuses %s", async (alg) => {
    const [, payload, signature] = (await signWith(rsa, "RS256", "rsa")).split(".");
    const header = btoa(JSON.stringify({ alg, kid: "rsa" })).replace(/=+$/, "");
    expect(await statusFor(`${header}.${payload}.${signature}`, on)).toBe(401);
  });

  it("refuses an unknown key id, a path in it, and another issuer's key", async () => {
    const other = await generateKeyPair("RS256");
    for (const kid of ["unknown", "../../etc/passwd", "rsa' OR 1=1", "ec"]) {
      expect(await statusFor(await signWith(rsa, "RS256", kid), on)).toBe(401);
    }
    expect(await statusFor(await signWith(other, "RS256", "rsa"), on)).toBe(401);
  });
});

describe("with a key set that does not answer", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("says that the failure is its own, and nothing about it", async () => {
    vi.stubGlobal("fetch", async () => new Response("down at 10.0.0.7", { status: 500 }));
    vi.spyOn(console, "error").mockReturnValue(undefined);
    const pair = await generateKeyPair("ES256");
    const token = await new SignJWT({ sub: "t", exp: inAMinute() })
      .setProtectedHeader({ alg: "ES256" })
      .sign(pair.privateKey);
    const response = await call(
      testFront({ JWKS_URL: "https://down.test/keys" }),
      "GET",
      "/api/v1/sessions",
      undefined,
      {
        authorization: `Bearer ${token}`,
      },
    );
    expect(response.status).toBe(500);
    const problem = await problemOf(response);
    expect(problem.code).toBe("internal");
    expect(JSON.stringify(problem)).not.toMatch(/down|10\.0/);
  });
});

describe("without authentication", () => {
  it("makes everyone the same tenant, whatever token comes along", async () => {
    const front = testFront({}, { listSessions: () => ok({ sessions: [] }) });
    await call(front, "GET", "/api/v1/sessions", undefined, { authorization: "Bearer nonsense" });
    expect(front.calls[0]?.object).toBe('["anonymous","ada"]');
  });
});
