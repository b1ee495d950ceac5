/** Owns the edge's HTTP calls to a runner about one incarnation of a session: blobs out and in, and its end. */
import type { CheckpointId } from "./protocol/identity.ts";
import type { Incarnation } from "./session-state.ts";

const SHORT_DEADLINE_MS = 10_000;
const BLOB_DEADLINE_MS = 120_000;

export class RunnerCalls {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** The blob of a checkpoint just taken. @throws where the runner has none, or is out of reach. */
  async getBlob(at: Incarnation, id: CheckpointId): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#call("GET", at, `/checkpoints/${id}`, BLOB_DEADLINE_MS);
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Error(`the runner answered ${response.status} to a blob`);
    }
    return response.body as ReadableStream<Uint8Array>;
  }

  /** The blob is in the store: the runner need not hold it any more. */
  async forgetBlob(at: Incarnation, id: CheckpointId): Promise<void> {
    const response = await this.#call("DELETE", at, `/checkpoints/${id}`, SHORT_DEADLINE_MS);
    await response.body?.cancel();
  }

  /** Hands a stored blob to the runner. @returns false where the runner finds that it is not what `sha256` says. */
  async putBlob(
    at: Incarnation,
    id: CheckpointId,
    blob: { body: ReadableStream; size: number; sha256: string },
  ): Promise<boolean> {
    const { readable, writable } = new FixedLengthStream(blob.size);
    const piped = blob.body.pipeTo(writable);
    const [response] = await Promise.all([
      this.#call("PUT", at, `/checkpoints/${id}`, BLOB_DEADLINE_MS, readable, { "x-content-sha256": blob.sha256 }),
      // The answer tells what became of the blob; a runner that refuses early breaks the pipe.
      piped.catch(() => undefined),
    ]);
    await response.body?.cancel();
    if (response.status >= 500) throw new Error(`the runner answered ${response.status} to a blob`);
    return response.ok;
  }

  /** Ends the interpreter; a runner that is gone has done so already. */
  async endSession(at: Incarnation): Promise<void> {
    try {
      const response = await this.#call("DELETE", at, "", SHORT_DEADLINE_MS);
      await response.body?.cancel();
    } catch (error) {
      console.warn("a runner could not be told to end a session", error instanceof Error ? error.message : "");
    }
  }

  #call(
    method: string,
    at: Incarnation,
    path: string,
    deadlineMs: number,
    body?: ReadableStream,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return fetch(new URL(`/v1/sessions/${at.key}${path}`, at.runnerUrl), {
      method,
      headers: { authorization: `Bearer ${this.#token}`, ...headers },
      signal: AbortSignal.timeout(deadlineMs),
      ...(body === undefined ? {} : { body }),
    });
  }
}
