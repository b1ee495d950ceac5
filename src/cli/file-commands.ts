/** Owns `pyrepl3 files`: it lists, copies, moves and deletes files of a session's workspace. */
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import type { Client } from "../client/client.ts";
import { printTable, timeText } from "./print-table.ts";
import { addSessionOptions, type SessionOptions, withClient } from "./session-options.ts";

type ListOptions = SessionOptions & { json: boolean; recursive: boolean };

const STANDARD_STREAM = "-";
const PROGRESS_EVERY_MS = 200;

/** Counts bytes on their way and, if a person looks, says how many there are. */
async function* withProgress(source: AsyncIterable<Uint8Array>, what: string, size: number | null) {
  const isShown = process.stderr.isTTY === true;
  let bytes = 0;
  let shownAt = 0;
  for await (const piece of source) {
    bytes += piece.byteLength;
    if (isShown && Date.now() - shownAt > PROGRESS_EVERY_MS) {
      shownAt = Date.now();
      const share = size === null || size === 0 ? "" : ` (${Math.floor((100 * bytes) / size)} %)`;
      process.stderr.write(`\r${what}: ${(bytes / 1e6).toFixed(1)} MB${share}\u001b[K`);
    }
    yield piece;
  }
  if (isShown) process.stderr.write("\r\u001b[K");
}

async function get(client: Client, path: string, target: string | undefined): Promise<void> {
  const local = target ?? basename(path);
  const { stream, size } = await client.files.stream(path);
  const content = withProgress(stream as unknown as AsyncIterable<Uint8Array>, path, size);
  if (local === STANDARD_STREAM) {
    await pipeline(content, process.stdout, { end: false });
    return;
  }
  // A download that breaks off leaves what was there before.
  const partial = `${local}.partial`;
  try {
    await pipeline(content, createWriteStream(partial));
    await rename(partial, local);
  } finally {
    await rm(partial, { force: true });
  }
}

async function put(client: Client, local: string, target: string | undefined): Promise<void> {
  const isStandard = local === STANDARD_STREAM;
  if (isStandard && target === undefined) throw new Error("Name the file in the workspace.");
  const size = isStandard ? null : (await stat(local)).size;
  const source = isStandard ? process.stdin : createReadStream(local);
  const path = target ?? basename(local);
  const content = Readable.toWeb(Readable.from(withProgress(source, path, size), { objectMode: false }));
  const written = await client.files.write(path, content as ReadableStream<Uint8Array>);
  console.log(`${written.path}  ${written.size}`);
}

export function addFileCommands(program: Command): void {
  const group = program.command("files").description("list, copy, move and delete files of the workspace");
  addSessionOptions(group.command("ls", { isDefault: true }).description("list a folder"))
    .argument("[path]", "the folder", ".")
    .option("-r, --recursive", "also list what is in the folders below", false)
    .option("--json", "print JSON", false)
    .action((path: string, options: ListOptions) =>
      withClient(options, async (client) => {
        const { entries, truncated } = await client.files.list(path, { recursive: options.recursive });
        if (options.json) return console.log(JSON.stringify(entries));
        const rows = entries.map((one) => [one.type, String(one.size), timeText(one.modified_at), one.path]);
        printTable(["TYPE", "BYTES", "MODIFIED", "PATH"], rows);
        if (truncated) console.error("pyrepl3: there are more entries");
      }),
    );
  addSessionOptions(group.command("get").description("copy a file of the workspace to this machine; - is stdout"))
    .argument("<path>")
    .argument("[target]", "the file here")
    .action((path: string, target: string | undefined, options: SessionOptions) =>
      withClient(options, (client) => get(client, path, target)),
    );
  addSessionOptions(group.command("put").description("copy a file of this machine to the workspace; - is stdin"))
    .argument("<file>")
    .argument("[path]", "where in the workspace")
    .action((file: string, path: string | undefined, options: SessionOptions) =>
      withClient(options, (client) => put(client, file, path)),
    );
  addSessionOptions(group.command("rm").description("delete a file or folder"))
    .argument("<path>")
    .option("-r, --recursive", "also delete what is in the folder", false)
    .action((path: string, options: SessionOptions & { recursive: boolean }) =>
      withClient(options, (client) => client.files.delete(path, { recursive: options.recursive })),
    );
  addSessionOptions(group.command("mv").description("move or rename a file or folder"))
    .argument("<from>")
    .argument("<to>")
    .action((from: string, to: string, options: SessionOptions) =>
      withClient(options, async (client) => void (await client.files.move(from, to))),
    );
}
