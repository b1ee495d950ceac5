/** Owns the console's REST calls: what it asks beside the socket, as values or as the edge's own words. */
import type { z } from "zod";
import type { Problem } from "../protocol/problem.ts";
import type { CheckpointList, Execution, ExecutionList } from "../protocol/rest.ts";
import type { Identity } from "./identity.ts";

export type Answer<T> = { ok: true; value: T } | { ok: false; code: string; detail: string };

async function call<T>(identity: Identity, method: string, path: string): Promise<Answer<T>> {
  try {
    const response = await fetch(`/api/v1/${path}`, {
      method,
      headers: {
        "client-id": identity.clientId,
        ...(identity.token === "" ? {} : { authorization: `Bearer ${identity.token}` }),
      },
    });
    if (response.ok) {
      const text = await response.text();
      return { ok: true, value: (text === "" ? null : JSON.parse(text)) as T };
    }
    const problem = (await response.json()) as z.infer<typeof Problem>;
    return { ok: false, code: problem.code, detail: problem.detail };
  } catch {
    return { ok: false, code: "unreachable", detail: "The edge does not answer." };
  }
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
