/** Owns the runner's HTTP routes about the files of a session's workspace (docs/link.md). */
import type { HttpBindings } from "@hono/node-server";
import type { Context, Hono } from "hono";
import { z } from "zod";
import { DirectoryBody, FilePath, MoveFileBody } from "../../../src/protocol/file.ts";
import type { FilesMessage, FilesMessageOf, FilesRequest } from "../../channel/file-message.ts";
import { ChannelViolation } from "../../channel/framing.ts";
import { DeadlinePassed } from "../../deadline.ts";
import { type FileProcess, FileRefused } from "../../interpreter/file-process.ts";
import { Unanswered } from "../../interpreter/pending-answers.ts";
import { SessionError } from "../../session/session-error.ts";
import type { HostedSession } from "../hosted/hosted-session.ts";
import { describeFailure } from "../hosted/session-problem.ts";
import type { Logger } from "../log.ts";
import { problem } from "../problem.ts";
import { readRange } from "./byte-range.ts";
import { hasVersion, readCondition, readTags } from "./etags.ts";
import { piecesOf, readOut, sendBody } from "./receive-file.ts";
import { FormRefused, receiveForm } from "./receive-form.ts";
import { streamContent } from "./send-file.ts";

export interface FileRoutesOptions {
  find: (c: Context) => HostedSession | undefined;
  log: Logger;
}

const PATH = "/v1/sessions/:key/files";
const ListQuery = z.object({ path: FilePath.default("."), recursive: z.stringbool().default(false) });
const PathQuery = z.object({ path: FilePath });
const DeleteQuery = z.object({ path: FilePath, recursive: z.stringbool().default(false) });
const UploadQuery = z.object({ path: FilePath.optional() });
const MAX_JSON_BYTES = 32_768;

/** Adds the routes to the app. */
export function addFileRoutes(app: Hono, options: FileRoutesOptions): void {
  const route = (method: string, path: string, work: (call: Call) => Promise<Response>) =>
    app.on(method, `${PATH}${path}`, (c) => answer(c, options, work));
  route("GET", "", listFolder);
  route("DELETE", "", deleteFile);
  route("POST", "", uploadForm);
  route("GET", "/content", readFile);
  route("PUT", "/content", writeFile);
  route("POST", "/move", moveFile);
  route("POST", "/directory", makeFolder);
}

/** One call with a process of its own. */
interface Call {
  c: Context;
  hosted: HostedSession;
  process: FileProcess;
  /** The process stays until the body of the answer is sent; that closes it. */
  keepProcess(): void;
}

async function answer(c: Context, options: FileRoutesOptions, work: (call: Call) => Promise<Response>) {
  const hosted = options.find(c);
  if (hosted === undefined) return problem(c, "no_runner", "The runner does not have this session.");
  const endUse = hosted.use.begin();
  let process: FileProcess | undefined;
  let isKept = false;
  try {
    const started = await hosted.session.openFiles();
    process = started;
    started.onClosed(endUse);
    const keepProcess = () => {
      isKept = true;
    };
    return await work({ c, hosted, process: started, keepProcess });
  } catch (error) {
    process?.close();
    await readOut(bodyOf(c));
    return explain(c, error, options.log);
  } finally {
    if (process === undefined) endUse();
    else if (!isKept) process.close();
  }
}

function explain(c: Context, error: unknown, log: Logger): Response {
  if (error instanceof FileRefused) return problem(c, error.code, error.message);
  if (error instanceof FormRefused) return problem(c, "invalid_request", error.message);
  if (error instanceof z.ZodError) return problem(c, "invalid_request", "The request is not valid.");
  if (error instanceof SessionError) {
    const { code, detail } = describeFailure(error);
    return problem(c, code, detail);
  }
  const isOfSandbox = [Unanswered, DeadlinePassed, ChannelViolation].some((kind) => error instanceof kind);
  log.info({ err: error }, "a call on files failed");
  return problem(c, "runner_error", isOfSandbox ? "The call was cut off in the sandbox." : "The call was cut off.");
}

async function listFolder({ c, process }: Call): Promise<Response> {
  const { path, recursive } = ListQuery.parse(c.req.query());
  return c.json(withoutType(await process.ask({ type: "list_files", path, recursive }, "listed")));
}

async function deleteFile({ c, process }: Call): Promise<Response> {
  const { path, recursive } = DeleteQuery.parse(c.req.query());
  await process.ask({ type: "delete_file", path, recursive }, "deleted");
  return c.body(null, 204);
}

async function readFile({ c, process, keepProcess }: Call): Promise<Response> {
  const { path } = PathQuery.parse(c.req.query());
  const file = await process.ask({ type: "read_file", path }, "opened");
  const headers = {
    etag: file.etag,
    "last-modified": new Date(file.modified_at * 1000).toUTCString(),
    "accept-ranges": "bytes",
  };
  if (hasVersion(readTags(c.req.header("if-none-match"), true), file.etag)) return c.body(null, 304, headers);
  const ifRange = c.req.header("if-range");
  const isRangeWanted = ifRange === undefined || ifRange === file.etag;
  const range = readRange(isRangeWanted ? c.req.header("range") : undefined, file.size);
  if (range === "unsatisfiable") {
    const inHeaders = { "content-range": `bytes */${file.size}` };
    return problem(c, "range_not_satisfiable", `The file has ${file.size} bytes.`, inHeaders);
  }
  const { start, end } = range === "whole" ? { start: 0, end: file.size } : range;
  const described = {
    ...headers,
    "content-type": "application/octet-stream",
    "content-length": String(end - start),
    ...(range === "whole" ? {} : { "content-range": `bytes ${start}-${end - 1}/${file.size}` }),
  };
  const status = range === "whole" ? 200 : 206;
  if (c.req.method === "HEAD") return c.body(null, status, described);
  process.send({ type: "send", start, end });
  keepProcess();
  return c.body(streamContent(process, end - start), status, described);
}

async function writeFile({ c, process }: Call): Promise<Response> {
  const { path } = PathQuery.parse(c.req.query());
  const condition = readCondition(c.req.header("if-match"), c.req.header("if-none-match"));
  const length = c.req.header("content-length");
  const size = length === undefined ? {} : { size: Number(length) };
  process.send({ type: "write_file", path, folder: null, ...size, ...condition });
  await sendBody(process, piecesOf(bodyOf(c)));
  await process.expect("staged");
  const { files } = await process.ask({ type: "commit_files", folder: null, ...condition }, "written");
  const [file] = files;
  if (file === undefined) throw new Unanswered("the process wrote no file");
  const { is_new, ...written } = file;
  return c.json(written, is_new ? 201 : 200, { etag: file.etag });
}

async function uploadForm({ c, hosted, process }: Call): Promise<Response> {
  const { path } = UploadQuery.parse(c.req.query());
  const { incoming } = c.env as HttpBindings;
  const fields = await receiveForm(process, incoming, path ?? null);
  const session = fields.get("session");
  // The edge has chosen the session before it read the form.
  if (session !== undefined && session !== hosted.name) throw new FormRefused("Name the session in the query.");
  const folder = FilePath.optional().parse(fields.get("path") || path) ?? null;
  const { files } = await process.ask({ type: "commit_files", folder }, "written");
  return c.json({ files: files.map(({ path, size }) => ({ path, size })) }, 201);
}

async function moveFile({ c, process }: Call): Promise<Response> {
  const { from, to } = MoveFileBody.parse(await readJson(c));
  return c.json((await process.ask({ type: "move_file", from, to }, "entry")).entry);
}

async function makeFolder({ c, process }: Call): Promise<Response> {
  const { path } = DirectoryBody.parse(await readJson(c));
  const { entry, is_new } = await process.ask({ type: "make_folder", path } satisfies FilesRequest, "entry");
  return c.json(entry, is_new ? 201 : 200);
}

/** The body as it comes in. Leaving it early leaves the connection open. */
function bodyOf(c: Context): AsyncIterable<Uint8Array> {
  const { incoming } = c.env as HttpBindings;
  return incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
}

async function readJson(c: Context): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of bodyOf(c)) {
    size += piece.byteLength;
    if (size > MAX_JSON_BYTES) throw new FormRefused("The body is too large.");
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString());
  } catch {
    throw new FormRefused("The body is not JSON.");
  }
}

function withoutType<T extends FilesMessage["type"]>(message: FilesMessageOf<T>): Omit<FilesMessageOf<T>, "type"> {
  const { type: _, ...fields } = message;
  return fields;
}
