/** Owns the console's REST calls: what it asks beside the socket, as values or as the edge's own words. */
import type { z } from "zod";
import type { BranchOutcome } from "../protocol/branch.ts";
import type { FileList, FileWritten } from "../protocol/file.ts";
import type { Problem } from "../protocol/problem.ts";
import type { CheckpointList, Execution, ExecutionList } from "../protocol/rest.ts";
import type { VariableList } from "../protocol/session-resource.ts";
import type { Identity } from "./identity.ts";

export type Answer<T> = { ok: true; value: T } | { ok: false; code: string; detail: string };

async function callFor<T>(
  identity: Identity,
  method: string,
  path: string,
  read: (response: Response) => Promise<T>,
  body?: Blob,
): Promise<Answer<T>> {
  try {
    const response = await fetch(`/api/v1/${path}`, {
      method,
      ...(body === undefined ? {} : { body }),
      headers: {
        "client-id": identity.clientId,
        ...(identity.token === "" ? {} : { authorization: `Bearer ${identity.token}` }),
      },
    });
    if (response.ok) return { ok: true, value: await read(response) };
    const problem = (await response.json()) as z.infer<typeof Problem>;
    return { ok: false, code: problem.code, detail: problem.detail };
  } catch {
    return { ok: false, code: "unreachable", detail: "The edge does not answer." };
  }
}

function call<T>(identity: Identity, method: string, path: string, body?: Blob): Promise<Answer<T>> {
  const read = async (response: Response) => {
    const text = await response.text();
    return (text === "" ? null : JSON.parse(text)) as T;
  };
  return callFor(identity, method, path, read, body);
}

const inSession = (identity: Identity) => `session=${encodeURIComponent(identity.session)}`;

export function recentExecutions(identity: Identity, limit: number): Promise<Answer<z.infer<typeof ExecutionList>>> {
  return call(identity, "GET", `executions?${inSession(identity)}&limit=${limit}`);
}

export function executionById(identity: Identity, id: string): Promise<Answer<z.infer<typeof Execution>>> {
  return call(identity, "GET", `executions/${encodeURIComponent(id)}`);
}

export function checkpointsOf(identity: Identity): Promise<Answer<z.infer<typeof CheckpointList>>> {
  return call(identity, "GET", `checkpoints?${inSession(identity)}`);
}

export function deleteCheckpoint(identity: Identity, id: string): Promise<Answer<null>> {
  return call(identity, "DELETE", `checkpoints/${encodeURIComponent(id)}`);
}

export function variablesOf(identity: Identity): Promise<Answer<VariableList>> {
  return call(identity, "GET", `session/variables?${inSession(identity)}`);
}

export function branchSession(identity: Identity, name: string): Promise<Answer<BranchOutcome>> {
  const body = JSON.stringify({ session: identity.session, name });
  return call(identity, "POST", "session/branch", new Blob([body], { type: "application/json" }));
}

const ofFile = (identity: Identity, path: string) => `${inSession(identity)}&path=${encodeURIComponent(path)}`;

export function filesOf(identity: Identity): Promise<Answer<FileList>> {
  return call(identity, "GET", `files?${inSession(identity)}&recursive=true`);
}

export function uploadFile(identity: Identity, path: string, content: Blob): Promise<Answer<FileWritten>> {
  return call(identity, "PUT", `files/content?${ofFile(identity, path)}`, content);
}

export function fileContent(identity: Identity, path: string): Promise<Answer<Blob>> {
  return callFor(identity, "GET", `files/content?${ofFile(identity, path)}`, (response) => response.blob());
}

export function deleteFile(identity: Identity, path: string): Promise<Answer<null>> {
  return call(identity, "DELETE", `files?${ofFile(identity, path)}`);
}
