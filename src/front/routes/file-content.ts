/** Owns the REST calls that read and write one file (protocol, section 11). Content streams through, and is never held whole. */
import { z } from "@hono/zod-openapi";
import { ProblemError } from "../../problem.ts";
import { FilePath, FileWritten } from "../../protocol/file.ts";
import type { FrontContext } from "../context.ts";
import { callFiles, FILE_PROBLEMS, jsonOf, FILE_TAGS as tags } from "../file-call.ts";
import { fileHeaders } from "../file-headers.ts";
import { readQuery } from "../request-body.ts";
import { addRoute, ClientHeader, type FrontApp, jsonAnswer, problems, SessionQuery } from "../route.ts";

const CONTENT = "/api/v1/files/content";
const WRITTEN = { path: "data/table.csv", size: 2048, etag: '"5-800-18b3c0f2d3a4e5f6-18b3c0f2d3a4e5f6"' };

const PathQuery = SessionQuery.extend({
  path: FilePath.meta({ description: "Relative to the workspace.", example: "data/table.csv" }),
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

/** Adds the calls to the app. */
export function addFileContentRoutes(app: FrontApp): void {
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
