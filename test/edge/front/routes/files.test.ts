/** The file calls of the edge in front of a scripted runner: what goes through as it is, and what a call means for its session. */
import { beforeEach, expect, it } from "vitest";
import { call, control, edgeFetch, open, registerRunner } from "../../support/edge-client.ts";

beforeEach(() => registerRunner());

const CONTENT = "/api/v1/files/content";

/** Sends bytes as they are. */
async function put(clientId: string, path: string, body: BodyInit) {
  const answer = await edgeFetch(`${CONTENT}?path=${path}`, {
    method: "PUT",
    headers: { "client-id": clientId },
    body,
  });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

it("passes content through both ways, with headers that keep a browser from rendering it", {
  timeout: 60_000,
}, async () => {
  const clientId = crypto.randomUUID();
  const written = await put(clientId, "a%20b/n%C3%A4me%22.html", "<b>x</b>");
  expect([written.status, written.body, written.headers.get("etag")]).toEqual([
    201,
    { path: 'a b/näme".html', size: 8, etag: '"1"' },
    '"1"',
  ]);
  expect((await put(clientId, "a%20b/n%C3%A4me%22.html", "<b>y</b>")).status).toBe(200);
  const read = await call("GET", `${CONTENT}?path=a%20b/n%C3%A4me%22.html`, { clientId });
  expect([read.status, read.body]).toEqual([200, "<b>y</b>"]);
  expect(Object.fromEntries(read.headers)).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "content-length": "8",
    "content-disposition": "attachment; filename=\"n_me_.html\"; filename*=UTF-8''n%C3%A4me%22.html",
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
    etag: '"1"',
  });
  const listed = await call("GET", "/api/v1/files?recursive=true", { clientId });
  expect(listed.body).toMatchObject({ path: ".", entries: [{ path: 'a b/näme".html', size: 8 }], truncated: true });
});

it("answers with the runner's problems, and refuses what is no request", async () => {
  const clientId = crypto.randomUUID();
  const missing = await call("GET", `${CONTENT}?path=missing`, { clientId });
  expect([missing.status, missing.body.code, missing.body.detail]).toEqual([404, "not_found", "scripted"]);
  expect((await call("GET", CONTENT, { clientId })).body.errors).toMatchObject([{ path: "path" }]);
  expect((await call("GET", "/api/v1/files?recursive=perhaps", { clientId })).body.code).toBe("invalid_request");
  expect((await call("POST", "/api/v1/files/move", { clientId, body: { from: "a" } })).body.errors).toMatchObject([
    { path: "to" },
  ]);
  expect((await call("GET", "/api/v1/files", {})).body.code).toBe("client_id_required");
});

it("keeps the session with its interpreter while content flows, and stores the change afterwards", {
  timeout: 60_000,
}, async () => {
  const clientId = crypto.randomUUID();
  await put(clientId, "a.txt", "0123456789");
  const [{ key }] = await control("sessions", clientId);
  await control("hold-files", clientId);
  const download = await open("GET", `${CONTENT}?path=a.txt`, { clientId });
  // The session would be suspended after four idle seconds, and the link closed after one.
  await new Promise((resolve) => setTimeout(resolve, 6000));
  expect(await control("sessions", clientId)).toMatchObject([{ key }]);
  await control("release-files", clientId);
  expect(await download.text()).toBe("0123456789");
  await expect.poll(async () => (await control("sessions", clientId)).length, { timeout: 30_000 }).toBe(0);
  const overview = (await call("GET", "/api/v1/session", { clientId })).body;
  expect([overview.state, overview.saved?.is_current]).toEqual(["suspended", true]);
});

it("breaks the answer off if the runner does", async () => {
  const clientId = crypto.randomUUID();
  await put(clientId, "a.txt", "0123456789");
  await control("hold-files", clientId);
  const headers = { range: "broken" };
  const download = await open("GET", `${CONTENT}?path=a.txt`, { clientId, headers });
  await control("release-files", clientId);
  await expect(download.text()).rejects.toThrow();
  expect((await call("GET", `${CONTENT}?path=a.txt`, { clientId })).body).toBe("0123456789");
});
