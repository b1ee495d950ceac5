/** The runner's routes about files, with a real interpreter in its sandbox. */
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { expect, it } from "vitest";
import { isHere } from "../../../support/needs.ts";
import { RunnerProgram } from "../../runner-program.ts";
import { TOKEN } from "../service-under-test.ts";

const FILES = "/v1/sessions/k1/files";
const CONTENT = `${FILES}/content?path=`;

async function start(environment: Record<string, string> = {}) {
  const runner = await RunnerProgram.start(environment);
  const edge = await runner.link("k1");
  edge.open({});
  await edge.reply("opened");
  const call = async (method: string, path: string, init: RequestInit = {}) => {
    const answer = await runner.call(path, { ...init, method });
    const isJson = answer.headers.get("content-type")?.includes("json") ?? false;
    const bytes = Buffer.from(await answer.arrayBuffer());
    return {
      status: answer.status,
      headers: answer.headers,
      bytes,
      body: isJson ? JSON.parse(bytes.toString()) : null,
    };
  };
  const json = (method: string, path: string, value: unknown) => call(method, path, { body: JSON.stringify(value) });
  const begin = (code: string) => edge.execute(crypto.randomUUID(), code);
  const end = async () => JSON.parse((await edge.event("result")).frame).data.value as unknown;
  /** Runs code to its end. */
  const run = async (code: string) => {
    begin(code);
    return end();
  };
  return { runner, call, json, begin, end, run };
}

type Started = Awaited<ReturnType<typeof start>>;

it("writes, reads and lists while code runs, and the code sees it", async () => {
  const started = await start();
  const { call, begin, end } = started;
  begin(
    "import os, time\nwhile not os.path.exists('in/data.bin'): time.sleep(0.005)\nlen(open('in/data.bin', 'rb').read())",
  );
  const content = randomBytes(3_000_000);
  const written = await call("PUT", `${CONTENT}in/data.bin`, { body: content });
  expect([written.status, written.body.path, written.body.size]).toEqual([201, "in/data.bin", content.length]);
  expect(await end()).toBe(content.length);
  const read = await call("GET", `${CONTENT}in/data.bin`);
  expect(read.bytes.equals(content)).toBe(true);
  expect(read.headers.get("etag")).toBe(written.body.etag);
  expect((await call("GET", `${FILES}?recursive=true`)).body.entries).toMatchObject([
    { path: "in", type: "directory" },
    { path: "in/data.bin", type: "file", size: content.length },
  ]);
  await answersConditionsAndRanges(started);
  await movesMakesAndDeletes(started);
  await knowsOnlyItsOwnSessions(started);
});

it("takes forms of any size, and lists many files", async () => {
  const started = await start();
  await takesForms(started);
  await refusesForms(started);
  if (isHere("bubblewrap")) await listsTheFirstTenThousand(started);
});

async function answersConditionsAndRanges({ call }: Started): Promise<void> {
  const { body } = await call("PUT", `${CONTENT}cond`, { body: "0123456789" });
  const etag: string = body.etag;
  const get = (headers: Record<string, string>) => call("GET", `${CONTENT}cond`, { headers });
  const part = await get({ range: "bytes=2-4" });
  expect([part.status, part.bytes.toString(), part.headers.get("content-range")]).toEqual([206, "234", "bytes 2-4/10"]);
  const outside = await get({ range: "bytes=10-" });
  expect([outside.status, outside.body.code, outside.headers.get("content-range")]).toEqual([
    416,
    "range_not_satisfiable",
    "bytes */10",
  ]);
  expect((await get({ "if-none-match": etag })).status).toBe(304);
  expect((await get({ range: "bytes=2-4", "if-range": '"other"' })).bytes.toString()).toBe("0123456789");
  const put = (headers: Record<string, string>) => call("PUT", `${CONTENT}cond`, { headers, body: "new" });
  expect((await put({ "if-match": '"other"' })).status).toBe(412);
  expect((await put({ "if-none-match": "*" })).status).toBe(412);
  expect((await put({ "if-match": etag })).status).toBe(200);
  expect((await put({ "if-match": etag })).status).toBe(412);
  const head = await call("HEAD", `${CONTENT}cond`);
  expect([head.status, head.headers.get("content-length"), head.bytes.length]).toEqual([200, "3", 0]);
}

async function takesForms({ call, run }: Started): Promise<void> {
  const large = randomBytes(3_000_000);
  for (const isFirst of [true, false]) {
    const form = new FormData();
    if (isFirst) form.append("path", "up");
    form.append("file", new Blob([large]), "large.bin");
    form.append("file", new Blob(["b"]), "sub/b.txt");
    if (!isFirst) form.append("path", "up");
    const answer = await call("POST", FILES, { body: form });
    expect([answer.status, answer.body]).toEqual([
      201,
      {
        files: [
          { path: "up/large.bin", size: large.length },
          { path: "up/sub/b.txt", size: 1 },
        ],
      },
    ]);
    expect((await call("GET", `${CONTENT}up/large.bin`)).bytes.equals(large)).toBe(true);
    expect(await run("import shutil\ntext = open('up/sub/b.txt').read()\nshutil.rmtree('up')\ntext")).toBe("b");
  }
}

async function refusesForms({ call }: Started): Promise<void> {
  const send = async (name: string, fileName: string, session?: string) => {
    const form = new FormData();
    form.append("file", new Blob([randomBytes(500_000)]), "good");
    form.append(name, new Blob(["x"]), fileName);
    if (session !== undefined) form.append("session", session);
    const { status, body } = await call("POST", FILES, { body: form });
    return [status, body.code];
  };
  expect(await send("other", "name")).toEqual([400, "invalid_request"]);
  expect(await send("file", "../../name")).toEqual([400, "invalid_path"]);
  expect(await send("file", "name", "another")).toEqual([400, "invalid_request"]);
  const empty = new FormData();
  empty.append("path", "x");
  expect((await call("POST", FILES, { body: empty })).body.code).toBe("invalid_request");
  expect((await call("POST", FILES, { body: "no form" })).body.code).toBe("invalid_request");
  const headers = { "content-type": "multipart/form-data; boundary=b" };
  const cut = '--b\r\ncontent-disposition: form-data; name="file"; filename="cut"\r\n\r\nhalf';
  expect((await call("POST", FILES, { headers, body: cut })).body.code).toBe("invalid_request");
  expect((await call("GET", FILES)).body.entries).toEqual([]);
}

it("refuses what is too large for the workspace, and keeps what stood there", { tags: "bubblewrap" }, async () => {
  const { call } = await start({ WORKSPACE_LIMIT_MB: "8" });
  expect((await call("PUT", `${CONTENT}a`, { body: "before" })).status).toBe(201);
  const tooLarge = randomBytes(20_000_000);
  const known = await call("PUT", `${CONTENT}a`, { body: tooLarge });
  expect([known.status, known.body.code]).toEqual([413, "workspace_full"]);
  const streamed = await call("PUT", `${CONTENT}a`, {
    body: new Blob([tooLarge]).stream(),
    duplex: "half",
  } as RequestInit);
  expect([streamed.status, streamed.body.code]).toEqual([413, "workspace_full"]);
  const form = new FormData();
  form.append("file", new Blob(["fits"]), "b");
  form.append("file", new Blob([tooLarge]), "a");
  expect((await call("POST", FILES, { body: form })).body.code).toBe("workspace_full");
  expect((await call("GET", `${CONTENT}a`)).bytes.toString()).toBe("before");
  expect((await call("GET", FILES)).body.entries).toMatchObject([{ path: "a", size: 6 }]);
  expect((await call("PUT", `${CONTENT}a`, { body: randomBytes(5_000_000) })).status).toBe(200);
});

async function movesMakesAndDeletes({ call, json }: Started): Promise<void> {
  await call("PUT", `${CONTENT}one`, { body: "1" });
  const moved = await json("POST", `${FILES}/move`, { from: "one", to: "a/two" });
  expect([moved.status, moved.body.path, moved.body.size]).toEqual([200, "a/two", 1]);
  const made = await json("POST", `${FILES}/directory`, { path: "b/c" });
  expect([made.status, made.body]).toMatchObject([201, { path: "b/c", type: "directory", size: 0 }]);
  expect((await json("POST", `${FILES}/directory`, { path: "b/c" })).status).toBe(200);
  expect((await call("DELETE", `${FILES}?path=a`)).body.code).toBe("not_empty");
  expect((await call("DELETE", `${FILES}?path=a&recursive=true`)).status).toBe(204);
  expect((await call("DELETE", `${FILES}?path=a&recursive=true`)).body.code).toBe("not_found");
}

async function listsTheFirstTenThousand({ call, run }: Started): Promise<void> {
  await run("import os\nos.mkdir('m')\nfor i in range(10_000): os.close(os.open(f'm/{i:05}', os.O_CREAT))");
  const all = (await call("GET", `${FILES}?path=m`)).body;
  expect([all.entries.length, all.truncated]).toEqual([10_000, false]);
  await run("os.close(os.open('m/00000.5', os.O_CREAT))");
  const { entries, truncated } = (await call("GET", `${FILES}?path=m`)).body;
  expect([entries.length, truncated, entries[1].path, entries.at(-1).path]).toEqual([
    10_000,
    true,
    "m/00000.5",
    "m/09998",
  ]);
}

it("goes on after callers that went away in the middle, and leaves nothing of theirs", async () => {
  const { runner, call } = await start();
  const content = randomBytes(8_000_000);
  await call("PUT", `${CONTENT}big`, { body: content });
  for (let round = 0; round < 20; round += 1) {
    await new Promise<void>((resolve) => {
      const upload = request(`${runner.url}${CONTENT}half${round}`, {
        method: "PUT",
        headers: { authorization: `Bearer ${TOKEN}`, "content-length": "1000000" },
      });
      upload.on("error", () => resolve());
      upload.write(randomBytes(200_000), () => upload.destroy());
      upload.on("close", () => resolve());
    });
    const download = await runner.call(`${CONTENT}big`);
    await download.body?.cancel();
  }
  expect((await call("GET", `${CONTENT}big`)).bytes.equals(content)).toBe(true);
  expect((await call("GET", FILES)).body.entries).toMatchObject([{ path: "big" }]);
});

it("says what the sandbox did to a call, and goes on", { tags: "bubblewrap" }, async () => {
  const { call, begin, end, run } = await start({ PROCESS_LIMIT: "20" });
  await call("PUT", `${CONTENT}a`, { body: "a" });
  // All processes of the sandbox are taken.
  await run(
    "import os, time, signal\npids = []\ntry:\n  while True:\n    pid = os.fork()\n    if pid == 0:\n      time.sleep(60)\n      os._exit(0)\n    pids.append(pid)\nexcept OSError: pass\nlen(pids) > 5",
  );
  expect((await call("GET", `${CONTENT}a`)).body.code).toBe("runner_error");
  await run("for pid in pids: os.kill(pid, signal.SIGKILL)\nfor pid in pids: os.waitpid(pid, 0)");
  expect((await call("GET", `${CONTENT}a`)).bytes.toString()).toBe("a");
  // Every other process is killed as soon as it appears.
  begin(`
import os, signal, time
def others(): return [int(name) for name in os.listdir('/proc') if name.isdigit() and int(name) not in (1, os.getpid())]
mine = set(others())
killed = 0
end = time.time() + 10
while killed < 1 and time.time() < end:
    for pid in set(others()) - mine:
        try:
            os.kill(pid, signal.SIGKILL)
            killed += 1
        except OSError: pass
killed`);
  const killed = end();
  let isOver = false;
  void killed.then(() => {
    isOver = true;
  });
  while (!isOver) await call("GET", `${CONTENT}a`).catch(() => undefined);
  expect(await killed).toBe(1);
  expect((await call("GET", `${CONTENT}a`)).bytes.toString()).toBe("a");
});

async function knowsOnlyItsOwnSessions({ call }: Started): Promise<void> {
  const answer = await call("GET", "/v1/sessions/other/files");
  expect([answer.status, answer.body.code]).toEqual([503, "no_runner"]);
  expect((await call("GET", `${FILES}/content`)).body.code).toBe("invalid_request");
}
