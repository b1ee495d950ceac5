/** Owns the edge's HTTP calls to a runner about one incarnation of a session: blobs out and in, and its end. */
import type { CheckpointId } from "../../protocol/identity.ts";
import { fetchRunner } from "../../runner-fetch.ts";
import type { Incarnation } from "../store/session-table.ts";

const SHORT_DEADLINE_MS = 10_000;
const BLOB_DEADLINE_MS = 120_000;

export class RunnerCalls {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** The blob of a checkpoint just taken, handed to `take` as it streams in. @throws where the runner has none, or is out of reach. */
  async takeBlob(
    at: Incarnation,
    id: CheckpointId,
    take: (blob: ReadableStream<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    await this.#call("GET", at, `/checkpoints/${id}`, BLOB_DEADLINE_MS, async (response) => {
      if (!response.ok || response.body === null) throw new Error(`the runner answered ${response.status} to a blob`);
      await take(response.body as ReadableStream<Uint8Array>);
    });
  }

  /** The blob is in the store: the runner need not hold it any more. */
  async forgetBlob(at: Incarnation, id: CheckpointId): Promise<void> {
    await this.#call("DELETE", at, `/checkpoints/${id}`, SHORT_DEADLINE_MS, drain);
  }

  /** Hands a stored blob to the runner. @returns false where the runner finds that it is not what `sha256` says. */
  async putBlob(
    at: Incarnation,
    id: CheckpointId,
    blob: { body: ReadableStream; size: number; sha256: string },
  ): Promise<boolean> {
    const { readable, writable } = new FixedLengthStream(blob.size);
    // The answer tells what became of the blob; a runner that refuses early breaks the pipe.
    const piped = blob.body.pipeTo(writable).catch(() => undefined);
    const request = { body: readable, headers: { "x-content-sha256": blob.sha256 } };
    return this.#call(
      "PUT",
      at,
      `/checkpoints/${id}`,
      BLOB_DEADLINE_MS,
      async (response) => {
        await drain(response);
        await piped;
        if (response.status >= 500) throw new Error(`the runner answered ${response.status} to a blob`);
        return response.ok;
      },
      request,
    );
  }

  /** Ends the interpreter; a runner that is gone has done so already. */
  async endSession(at: Incarnation): Promise<void> {
    try {
      await this.#call("DELETE", at, "", SHORT_DEADLINE_MS, drain);
    } catch (error) {
      console.warn("a runner could not be told to end a session:", error instanceof Error ? error.message : "");
    }
  }

  /** The deadline is a timer of our own, since one that still runs after the answer would keep the object awake. */
  async #call<T>(
    method: string,
    at: Incarnation,
    path: string,
    deadlineMs: number,
    use: (response: Response) => Promise<T>,
    request: { body?: ReadableStream; headers?: Record<string, string> } = {},
  ): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error("the runner did not answer in time")), deadlineMs);
    try {
      const response = await fetchRunner(new URL(`/v1/sessions/${at.key}${path}`, at.runnerUrl), {
        method,
        headers: { authorization: `Bearer ${this.#token}`, ...request.headers },
        signal: late.signal,
        ...(request.body === undefined ? {} : { body: request.body }),
      });
      return await use(response);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function drain(response: Response): Promise<void> {
  await response.body?.cancel();
}
