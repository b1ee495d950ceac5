/** Owns the edge's HTTP calls to a runner about one incarnation of a session: fetch a blob, send a blob, end the session. */
import { withAbortAfter } from "../../deadline.ts";
import { logLine } from "../../log.ts";
import type { CheckpointId } from "../../protocol/identity.ts";
import { fetchRunner } from "../../runner-fetch.ts";
import type { FileCall } from "../../session-calls.ts";
import type { BlobContent } from "../store/piece-store.ts";
import type { Incarnation } from "../store/session-table.ts";

const SHORT_DEADLINE_MS = 10_000;
const BLOB_DEADLINE_MS = 120_000;

export class RunnerCalls {
  readonly #token: string;
  readonly #requestId: () => string | undefined;

  /** @param requestId the request that is being answered, for the runner's log. */
  constructor(token: string, requestId: () => string | undefined) {
    this.#token = token;
    this.#requestId = requestId;
  }

  /**
   * Pieces of the blob of a checkpoint just taken, one behind the other, handed to `take` as they stream in.
   *
   * @param indexes in ascending order.
   * @throws if the runner has no such blob, or cannot be reached.
   */
  async takePieces(
    at: Incarnation,
    id: CheckpointId,
    indexes: readonly number[],
    take: (blob: ReadableStream<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    await this.#call(
      "GET",
      at,
      `/checkpoints/${id}?pieces=${rangesOf(indexes)}`,
      BLOB_DEADLINE_MS,
      async (response) => {
        if (!response.ok || response.body === null) throw new Error(`the runner answered ${response.status} to a blob`);
        await take(response.body as ReadableStream<Uint8Array>);
      },
    );
  }

  /** Lets the runner delete a blob that the store holds. */
  async forgetBlob(at: Incarnation, id: CheckpointId): Promise<void> {
    await this.#call("DELETE", at, `/checkpoints/${id}`, SHORT_DEADLINE_MS, drain);
  }

  /** Hands a stored blob to the runner. @returns false if the content does not match `sha256`. */
  async putBlob(
    at: Incarnation,
    id: CheckpointId,
    blob: { body: BlobContent; size: number; sha256: string },
  ): Promise<boolean> {
    const { readable, writable } = new FixedLengthStream(blob.size);
    // A runner that refuses early breaks the pipe. Its answer tells what happened.
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
        // 404: the runner has ended the session. The content is not at fault.
        if (response.status >= 500 || response.status === 404) {
          throw new Error(`the runner answered ${response.status} to a blob`);
        }
        return response.ok;
      },
      request,
    );
  }

  /** Makes one call on the session's files. It takes as long as its content, so the caller ends it with `signal`. */
  async callFiles(at: Incarnation, call: FileCall, signal: AbortSignal): Promise<Response> {
    const url = new URL(`/v1/sessions/${at.key}/files${call.path}`, at.runnerUrl);
    url.search = call.query;
    const headers = { ...call.headers, authorization: `Bearer ${this.#token}` };
    if (call.body === null) return fetchRunner(url, { method: call.method, headers, signal });
    // A body of a known length has a `content-length` on its way, so that the runner can refuse early what is too large.
    const { readable, writable } =
      call.length === null ? new IdentityTransformStream() : new FixedLengthStream(call.length);
    // A client that goes away breaks the pipe, and with it the call; a runner that refuses early breaks it too, and its answer tells.
    call.body.pipeTo(writable).catch(() => undefined);
    return fetchRunner(url, { method: call.method, headers, signal, body: readable });
  }

  /** Ends the interpreter. If the runner is gone, so is the interpreter. */
  async endSession(at: Incarnation): Promise<void> {
    try {
      await this.#call("DELETE", at, "", SHORT_DEADLINE_MS, drain);
    } catch (error) {
      logLine("warn", "a runner could not be told to end a session", { error, requestId: this.#requestId() });
    }
  }

  #call<T>(
    method: string,
    at: Incarnation,
    path: string,
    deadlineMs: number,
    use: (response: Response) => Promise<T>,
    request: { body?: ReadableStream; headers?: Record<string, string> } = {},
  ): Promise<T> {
    const requestId = this.#requestId();
    return withAbortAfter(deadlineMs, async (late) => {
      const response = await fetchRunner(new URL(`/v1/sessions/${at.key}${path}`, at.runnerUrl), {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(requestId === undefined ? {} : { "x-request-id": requestId }),
          ...request.headers,
        },
        signal: late,
        ...(request.body === undefined ? {} : { body: request.body }),
      });
      return use(response);
    });
  }
}

async function drain(response: Response): Promise<void> {
  await response.body?.cancel();
}

/** `0-3,7-7`: numbers in ascending order, those in a row together. */
function rangesOf(indexes: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const index of indexes) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else ranges.push([index, index]);
  }
  return ranges.map(([first, last]) => `${first}-${last}`).join(",");
}
