/** Owns the REST calls that list, upload and delete files of a session (protocol, section 11). */
import { z } from "@hono/zod-openapi";
import { FileList, FilePath, FilesUploaded } from "../../protocol/file.ts";
import type { FrontContext } from "../context.ts";
import { callFiles, FILE_PROBLEMS, jsonOf, FILE_TAGS as tags } from "../file-call.ts";
import { readQuery } from "../request-body.ts";
import { addRoute, ClientHeader, type FrontApp, jsonAnswer, problems, SessionQuery } from "../route.ts";

const FILES = "/api/v1/files";
const ENTRY = { path: "data/table.csv", type: "file" as const, size: 2048, modified_at: 1780000000.25 };
const path = FilePath.meta({ description: "Relative to the workspace.", example: "data/table.csv" });
const recursive = z.enum(["true", "false"]).default("false");
const ListQuery = SessionQuery.extend({
  path: z.string().max(4096).default(".").meta({ description: "The folder.", example: "data" }),
  recursive: recursive.meta({ description: "Also lists what is in the folders below.", example: "true" }),
});
const DeleteQuery = SessionQuery.extend({
  path,
  recursive: recursive.meta({ description: "Also deletes what is in the folder.", example: "true" }),
});
const UploadQuery = SessionQuery.extend({
  path: FilePath.optional().meta({ description: "The folder, if the form has no part `path`.", example: "data" }),
});
const binary = z.string().meta({ format: "binary" });

async function list(context: FrontContext): Promise<Response> {
  const query = readQuery(context.req.raw, ListQuery);
  const sent = { query: { path: query.path || ".", recursive: query.recursive } };
  const answer = await callFiles(context, query.session, { method: "GET", path: "" }, sent);
  return context.json(await jsonOf(answer, FileList));
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
}
