/** Owns the REST calls on the files of a session (protocol, section 11). Content streams through, and is never held whole. */
import { z } from "@hono/zod-openapi";
import { ProblemError } from "../../problem.ts";
import {
  DirectoryBody,
  FileEntry,
  FileList,
  FilePath,
  FilesUploaded,
  FileWritten,
  MoveFileBody,
} from "../../protocol/file.ts";
import { DEFAULT_SESSION, type SessionName } from "../../protocol/identity.ts";
import type { FileAnswer, FileCall } from "../../session-calls.ts";
import type { FrontContext } from "../context.ts";
import { fileHeaders } from "../file-headers.ts";
import { readBody, readQuery } from "../request-body.ts";
import {
  addRoute,
  ClientHeader,
  COMMON_PROBLEMS,
  type FrontApp,
  INTERPRETER_PROBLEMS,
  jsonAnswer,
  jsonBody,
  problems,
  SessionQuery,
} from "../route.ts";
import { callSession, maxBodyBytes } from "../session-stub.ts";

const tags = ["Files"];
const FILES = "/api/v1/files";
const CONTENT = "/api/v1/files/content";
const FILE_PROBLEMS = [...COMMON_PROBLEMS, ...INTERPRETER_PROBLEMS, "invalid_path", "queue_full"] as const;
const ENTRY = { path: "data/table.csv", type: "file" as const, size: 2048, modified_at: 1780000000.25 };
const WRITTEN = { path: "data/table.csv", size: 2048, etag: '"5-800-18b3c0f2d3a4e5f6-18b3c0f2d3a4e5f6"' };

const path = FilePath.meta({ description: "Relative to the workspace.", example: "data/table.csv" });
const recursive = z.enum(["true", "false"]).default("false");
const ListQuery = SessionQuery.extend({
  path: z.string().max(4096).default(".").meta({ description: "The folder.", example: "data" }),
  recursive: recursive.meta({ description: "Also lists what is in the folders below.", example: "true" }),
});
const PathQuery = SessionQuery.extend({ path });
const DeleteQuery = PathQuery.extend({
  recursive: recursive.meta({ description: "Also deletes what is in the folder.", example: "true" }),
});
const UploadQuery = SessionQuery.extend({
  path: FilePath.optional().meta({ description: "The folder, if the form has no part `path`.", example: "data" }),
});
const ReadHeaders = ClientHeader.extend({
  range: z.string().optional().meta({ description: "One range of bytes.", example: "bytes=0-1023" }),
  "if-none-match": z.string().optional().meta({ description: "The etag of the version that the caller has." }),
  "if-range": z.string().optional(),
});
const WriteHeaders = ClientHeader.extend({
  "if-match": z.string().optional().meta({ description: "Replaces only the version with this etag." }),
  "if-none-match": z.string().optional().meta({ description: "`*`: only if there is no such file.", example: "*" }),
});
const binary = z.string().meta({ format: "binary" });

/** What a call tells the runner beside its path. */
interface Sent {
  query?: Record<string, string>;
  /** Headers of the request that go along. */
  headers?: readonly string[];
  json?: unknown;
}

/** Makes the call in the session. A body that streams is sent once, so such a call is never repeated. */
async function callFiles(
  context: FrontContext,
  session: SessionName | undefined,
  target: Pick<FileCall, "method" | "path">,
  sent: Sent,
): Promise<FileAnswer> {
  const headers: Record<string, string> = {};
  for (const name of sent.headers ?? []) {
    const value = context.req.header(name);
    if (value !== undefined) headers[name] = value;
  }
  const common = { ...target, query: new URLSearchParams(sent.query).toString(), headers };
  const isStreamed = sent.json === undefined && (target.method === "PUT" || target.method === "POST");
  const length = context.req.header("content-length");
  return callSession(
    context,
    (object, caller) => {
      const body = isStreamed ? context.req.raw.body : sent.json === undefined ? null : streamOf(sent.json);
      const known = isStreamed && length !== undefined && body !== null ? Number(length) : null;
      return object.callFiles(caller, session ?? DEFAULT_SESSION, { ...common, body, length: known });
    },
    !isStreamed,
  );
}

function streamOf(value: unknown): ReadableStream<Uint8Array> {
  return new Response(JSON.stringify(value)).body as ReadableStream<Uint8Array>;
}

/** The answer of a call that answers JSON. */
async function jsonOf<Schema extends z.ZodType>(answer: FileAnswer, schema: Schema): Promise<z.output<Schema>> {
  return schema.parse(await new Response(answer.body).json());
}

async function list(context: FrontContext): Promise<Response> {
  const query = readQuery(context.req.raw, ListQuery);
  const sent = { query: { path: query.path || ".", recursive: query.recursive } };
  const answer = await callFiles(context, query.session, { method: "GET", path: "" }, sent);
  return context.json(await jsonOf(answer, FileList));
}

async function read(context: FrontContext): Promise<Response> {
  const query = readQuery(context.req.raw, PathQuery);
  const method = context.req.raw.method === "HEAD" ? "HEAD" : "GET";
  const sent = { query: { path: query.path }, headers: ["range", "if-none-match", "if-range"] };
  const answer = await callFiles(context, query.session, { method, path: "/content" }, sent);
  if (answer.status === 416) {
    const detail = "The file does not have this range.";
    throw new ProblemError({ code: "range_not_satisfiable", detail }, answer.headers);
  }
  const headers = { ...answer.headers, ...fileHeaders(query.path) };
  if (answer.status === 304) return new Response(null, { status: 304, headers });
  const described = { ...headers, ...(answer.length === null ? {} : { "content-length": String(answer.length) }) };
  if (answer.body === null || answer.length === null) {
    return new Response(null, { status: answer.status, headers: described });
  }
  const { readable, writable } = new FixedLengthStream(answer.length);
  // A reader that goes away breaks the pipe, and with it the call.
  answer.body.pipeTo(writable).catch(() => undefined);
  return new Response(readable, { status: answer.status, headers: described });
}

async function write(context: FrontContext): Promise<Response> {
  const query = readQuery(context.req.raw, PathQuery);
  const sent = { query: { path: query.path }, headers: ["if-match", "if-none-match"] };
  const answer = await callFiles(context, query.session, { method: "PUT", path: "/content" }, sent);
  const written = await jsonOf(answer, FileWritten);
  return context.json(written, answer.status === 201 ? 201 : 200, { etag: written.etag });
}

async function upload(context: FrontContext): Promise<Response> {
  const query = readQuery(context.req.raw, UploadQuery);
  const sent = { query: query.path === undefined ? {} : { path: query.path }, headers: ["content-type"] };
  const answer = await callFiles(context, query.session, { method: "POST", path: "" }, sent);
  return context.json(await jsonOf(answer, FilesUploaded), 201);
}

async function remove(context: FrontContext): Promise<Response> {
  const query = readQuery(context.req.raw, DeleteQuery);
  const sent = { query: { path: query.path, recursive: query.recursive } };
  await callFiles(context, query.session, { method: "DELETE", path: "" }, sent);
  return context.body(null, 204);
}

async function move(context: FrontContext): Promise<Response> {
  const query = readQuery(context.req.raw, SessionQuery);
  const { session, ...json } = await readBody(context.req.raw, MoveFileBody, maxBodyBytes(context));
  const answer = await callFiles(context, session ?? query.session, { method: "POST", path: "/move" }, { json });
  return context.json(await jsonOf(answer, FileEntry));
}

async function makeDirectory(context: FrontContext): Promise<Response> {
  const query = readQuery(context.req.raw, SessionQuery);
  const { session, ...json } = await readBody(context.req.raw, DirectoryBody, maxBodyBytes(context));
  const answer = await callFiles(context, session ?? query.session, { method: "POST", path: "/directory" }, { json });
  return context.json(await jsonOf(answer, FileEntry), answer.status === 201 ? 201 : 200);
}

function addContentRoutes(app: FrontApp): void {
  const content = (description: string) => ({
    description,
    content: { "application/octet-stream": { schema: binary, example: "a,b\n1,2\n" } },
  });
  addRoute(
    app,
    {
      method: "get",
      path: CONTENT,
      operationId: "readFile",
      summary: "Read a file",
      description: "The content type follows from the name. The answer is a download, and no browser renders it.",
      tags,
      request: { headers: ReadHeaders, query: PathQuery },
      responses: {
        200: content("The file"),
        206: content("The range"),
        304: { description: "The caller has this version" },
        ...problems(...FILE_PROBLEMS, "not_found", "range_not_satisfiable"),
      },
    },
    read,
  );
  addRoute(
    app,
    {
      method: "put",
      path: CONTENT,
      operationId: "writeFile",
      summary: "Write a file as a whole",
      description: "Folders are made. A reader sees the old content or the new one, never a part.",
      tags,
      request: {
        headers: WriteHeaders,
        query: PathQuery,
        body: { required: true, content: { "application/octet-stream": { schema: binary, example: "a,b\n1,2\n" } } },
      },
      responses: {
        201: jsonAnswer("The file is new", FileWritten, WRITTEN),
        200: jsonAnswer("The file was replaced", FileWritten, WRITTEN),
        ...problems(...FILE_PROBLEMS, "precondition_failed", "workspace_full"),
      },
    },
    write,
  );
}

function addTreeRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "post",
      path: `${FILES}/move`,
      operationId: "moveFile",
      summary: "Move or rename a file or folder",
      description: "A file at the target is replaced; folders above it are made.",
      tags,
      request: { headers: ClientHeader, body: jsonBody(MoveFileBody, { from: "draft.csv", to: "data/table.csv" }) },
      responses: {
        200: jsonAnswer("It is there now", FileEntry, ENTRY),
        ...problems(...FILE_PROBLEMS, "not_found", "not_empty", "payload_too_large"),
      },
    },
    move,
  );
  addRoute(
    app,
    {
      method: "post",
      path: `${FILES}/directory`,
      operationId: "makeDirectory",
      summary: "Make a folder, and those above it",
      tags,
      request: { headers: ClientHeader, body: jsonBody(DirectoryBody, { path: "data" }) },
      responses: {
        201: jsonAnswer("The folder is new", FileEntry, { ...ENTRY, path: "data", type: "directory", size: 0 }),
        200: jsonAnswer("The folder was there", FileEntry, { ...ENTRY, path: "data", type: "directory", size: 0 }),
        ...problems(...FILE_PROBLEMS, "payload_too_large", "workspace_full"),
      },
    },
    makeDirectory,
  );
}

/** Adds the calls to the app. */
export function addFileRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "get",
      path: FILES,
      operationId: "listFiles",
      summary: "List a folder",
      description: "At most 10,000 entries, sorted by path. Links are not followed.",
      tags,
      request: { headers: ClientHeader, query: ListQuery },
      responses: {
        200: jsonAnswer("The entries", FileList, { path: "data", entries: [ENTRY], truncated: false }),
        ...problems(...FILE_PROBLEMS, "not_found"),
      },
    },
    list,
  );
  addRoute(
    app,
    {
      method: "post",
      path: FILES,
      operationId: "uploadFiles",
      summary: "Upload files as a form",
      description: "All of them appear together, once the whole form has come. A file's name may have folders.",
      tags,
      request: {
        headers: ClientHeader,
        query: UploadQuery,
        body: {
          required: true,
          content: {
            "multipart/form-data": {
              schema: z.object({ file: z.array(binary), path: z.string().optional() }),
              example: { file: ["a,b\n1,2\n"], path: "data" },
            },
          },
        },
      },
      responses: {
        201: jsonAnswer("The files", FilesUploaded, { files: [{ path: "data/table.csv", size: 2048 }] }),
        ...problems(...FILE_PROBLEMS, "workspace_full"),
      },
    },
    upload,
  );
  addRoute(
    app,
    {
      method: "delete",
      path: FILES,
      operationId: "deleteFile",
      summary: "Delete a file or folder",
      tags,
      request: { headers: ClientHeader, query: DeleteQuery },
      responses: { 204: { description: "Gone" }, ...problems(...FILE_PROBLEMS, "not_found", "not_empty") },
    },
    remove,
  );
  addContentRoutes(app);
  addTreeRoutes(app);
}
