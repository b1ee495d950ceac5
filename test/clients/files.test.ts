/** Files by the TypeScript client and the command line, against everything real. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connect } from "../../src/client/index.ts";
import { type Product, startProduct } from "../support/product.ts";
import { startCli } from "./start-cli.ts";

let product: Product;
let folder: string;
beforeAll(async () => {
  product = await startProduct();
  folder = await mkdtemp(join(tmpdir(), "pyrepl3-files-"));
}, 60_000);
afterAll(async () => {
  await product?.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

it("writes, reads, streams and lists files, and tells what code changed", async () => {
  const python = connect({ url: product.url });
  const { files } = python;
  const written = await files.write("in/text", "Hello");
  expect(written).toMatchObject({ path: "in/text", size: 5 });
  const outcome = await python.run("open('out', 'w').write(open('in/text').read() * 2)", { reportFiles: true });
  expect([outcome.files, outcome.hasMoreFiles]).toEqual([[{ path: "out", change: "created", size: 10 }], false]);
  expect(new TextDecoder().decode(await files.read("out"))).toBe("HelloHello");
  expect(new TextDecoder().decode(await files.read("out", { start: 3, size: 4 }))).toBe("loHe");
  const content = new Uint8Array(randomBytes(3_000_000));
  expect((await files.write("large", new Blob([content]).stream())).size).toBe(content.length);
  const { stream, size } = await files.stream("large");
  expect(size).toBe(content.length);
  expect(Buffer.from(await new Response(stream).arrayBuffer()).equals(Buffer.from(content))).toBe(true);
  await expect(files.write("in/text", "x", { mustBeNew: true })).rejects.toMatchObject({ code: "precondition_failed" });
  expect((await files.write("in/text", "new", { ifMatch: written.etag })).size).toBe(3);
  expect(await files.move("in/text", "moved")).toMatchObject({ path: "moved", type: "file", size: 3 });
  expect(await files.makeDirectory("a/b")).toMatchObject({ path: "a/b", type: "directory" });
  await expect(files.delete("a")).rejects.toMatchObject({ code: "not_empty" });
  await files.delete("a", { recursive: true });
  expect((await files.list(".", { recursive: true })).entries.map(({ path }) => path)).toEqual([
    "in",
    "large",
    "moved",
    "out",
  ]);
  await expect(files.read("../x")).rejects.toMatchObject({ code: "invalid_path" });
  await python.endSession({ purge: true });
  python.close();
});

it("copies files by the command line, through pipes too", async () => {
  const env = { PYREPL3_URL: product.url, PYREPL3_CLIENT_ID: "cli-files" };
  const run = async (args: string[], input = "") => {
    const cli = startCli(["files", ...args], { env });
    cli.write(input);
    cli.end();
    return { code: await cli.ended, stdout: cli.stdout, stderr: cli.stderr };
  };
  const local = join(folder, "local.bin");
  const content = randomBytes(2_000_000);
  await writeFile(local, content);
  expect(await run(["put", local])).toEqual({ code: 0, stdout: "local.bin  2000000\n", stderr: "" });
  expect((await run(["put", "-", "piped/text"], "from a pipe")).stdout).toBe("piped/text  11\n");
  expect((await run(["get", "piped/text", "-"])).stdout).toBe("from a pipe");
  expect((await run(["get", "local.bin", join(folder, "back.bin")])).code).toBe(0);
  expect((await readFile(join(folder, "back.bin"))).equals(content)).toBe(true);
  expect((await run(["mv", "local.bin", "piped/moved"])).code).toBe(0);
  const listed = JSON.parse((await run(["ls", "-r", "--json"])).stdout) as { path: string; size: number }[];
  expect(listed.map(({ path, size }) => [path, size])).toEqual([
    ["piped", 0],
    ["piped/moved", 2_000_000],
    ["piped/text", 11],
  ]);
  expect((await run(["ls", "piped"])).stdout).toMatch(/^TYPE +BYTES +MODIFIED +PATH\nfile +2000000 .*piped\/moved\n/);
  const refused = await run(["rm", "piped"]);
  expect([refused.code, refused.stderr.includes("[not_empty]")]).toEqual([69, true]);
  expect((await run(["rm", "-r", "piped"])).code).toBe(0);
  const absent = await run(["get", "piped/text", join(folder, "absent")]);
  expect([absent.code, absent.stderr.includes("[not_found]")]).toEqual([69, true]);
});
