/** Owns the runner's calls to the edge: the address, the secret, and the deadline. */
import type { Heartbeat, Ring } from "../../src/protocol/link.ts";

const CALL_DEADLINE_MS = 10_000;

/** `taken`: the edge accepted the call. `unknown`: it does not know the session. `away`: it did not accept the call; the log says why. */
export type EdgeAnswer = { outcome: "taken" } | { outcome: "unknown" } | { outcome: "away"; why: string };

/** The two calls of a runner. They never reject. */
export interface EdgeCalls {
  heartbeat(heartbeat: Heartbeat, signal?: AbortSignal): Promise<EdgeAnswer>;
  ring(ring: Ring, signal?: AbortSignal): Promise<EdgeAnswer>;
}

/** The calls to the edge at `edgeUrl`, with the shared secret. */
export function createEdgeCalls(edgeUrl: string, token: string): EdgeCalls {
  async function post(path: string, body: object, signal?: AbortSignal): Promise<EdgeAnswer> {
    const deadline = AbortSignal.timeout(CALL_DEADLINE_MS);
    try {
      const response = await fetch(new URL(path, edgeUrl), {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify(body),
        redirect: "error",
        signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
      });
      await response.body?.cancel();
      if (response.ok) return { outcome: "taken" };
      if (response.status === 410) return { outcome: "unknown" };
      if (response.status === 401) return { outcome: "away", why: "it has another RUNNER_TOKEN" };
      return { outcome: "away", why: `it answered ${response.status}` };
    } catch (cause) {
      return { outcome: "away", why: reasonOf(cause) };
    }
  }
  return {
    heartbeat: (heartbeat, signal) => post("/internal/v1/heartbeat", heartbeat, signal),
    ring: (ring, signal) => post("/internal/v1/ring", ring, signal),
  };
}

/** `fetch` hides the reason (`ECONNREFUSED`, …) in the cause of its error. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return "the call failed";
  const inner = cause.cause;
  if (inner instanceof Error && "code" in inner) return String(inner.code);
  return cause.name === "TimeoutError" ? "it did not answer in time" : cause.message;
}
