/** Owns the REST calls that move a file and make a folder (protocol, section 11). */
import { DirectoryBody, FileEntry, MoveFileBody } from "../../protocol/file.ts";
import type { FrontContext } from "../context.ts";
import { callFiles, FILE_PROBLEMS, jsonOf, FILE_TAGS as tags } from "../file-call.ts";
import { readBody, readQuery } from "../request-body.ts";
import { addRoute, ClientHeader, type FrontApp, jsonAnswer, jsonBody, problems, SessionQuery } from "../route.ts";
import { maxBodyBytes } from "../session-stub.ts";

const FILES = "/api/v1/files";
const ENTRY = { path: "data/table.csv", type: "file" as const, size: 2048, modified_at: 1780000000.25 };

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

/** Adds the calls to the app. */
export function addFileTreeRoutes(app: FrontApp): void {
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
