/** Owns carrying out each request of the link, and its one reply. */
import type { LinkReply, LinkRequest } from "../../../src/protocol/link.ts";
import { SessionError } from "../../session/session-error.ts";
import type { HostedSession } from "../hosted/hosted-session.ts";
import { describeFailure } from "../hosted/session-problem.ts";
import { describeStatus } from "../hosted/session-status.ts";
import type { Logger } from "../log.ts";

export type SessionRequest = Exclude<
  LinkRequest,
  { type: "open" | "durable" | "credit" | "frame_limit" | "keep_output" | "stay" }
>;
type RestoreRequest = Extract<LinkRequest, { type: "restore" }>;
type Reply = (reply: LinkReply) => void;

/** Carries out `request`. It never throws: an error becomes a `failed` reply. */
export function answerRequest(
  hosted: HostedSession,
  request: SessionRequest,
  { log, isDiskLow }: { log: Logger; isDiskLow: () => boolean },
  reply: Reply,
): void {
  const fail = (error: unknown) => {
    const failure = describeFailure(error);
    if (failure.isOurs) {
      const request_id = request.type === "execute" ? request.request_id : undefined;
      log.error({ err: error, request: request.type, request_id }, "a request failed");
    }
    const ref = refOf(request);
    if (ref !== null) reply({ type: "failed", ref, code: failure.code, detail: failure.detail });
  };
  try {
    if (request.type === "checkpoint" && isDiskLow()) throw new SessionError("storage_full", "the disk is nearly full");
    answer(hosted, request, reply)?.catch(fail);
  } catch (error) {
    fail(error);
  }
}

function refOf(request: SessionRequest): string | null {
  if (request.type === "execute") return request.execution_id;
  return "ref" in request ? request.ref : null;
}

/** @returns a promise if the answer takes time. */
function answer(hosted: HostedSession, request: SessionRequest, reply: Reply): Promise<void> | undefined {
  const { session } = hosted;
  switch (request.type) {
    case "execute":
      hosted.traces.begin(request);
      session.enqueue(request);
      return undefined;
    case "input_response":
      replyWhether(
        session.inputResponse(request.input_id, request.value),
        request.ref,
        "No input waits for this answer.",
        reply,
      );
      return undefined;
    case "tool_result":
      replyWhether(session.toolResult(request), request.ref, "No tool call waits for this answer.", reply);
      return undefined;
    case "cancel":
      replyWhether(session.cancel(request.execution_id), request.ref, "The execution is unknown or over.", reply);
      return undefined;
    case "interrupt":
      reply({ type: "done", ref: request.ref, execution_id: session.interrupt() });
      return undefined;
    case "reset":
      return session.reset().then(() => reply({ type: "done", ref: request.ref }));
    case "complete":
      return session
        .complete(request.code, request.cursor)
        .then((completions) => reply({ type: "completions", ref: request.ref, data: completions }));
    case "is_complete":
      return session
        .isComplete(request.code)
        .then((completeness) => reply({ type: "completeness", ref: request.ref, data: completeness }));
    case "variables":
      return session.variables().then((data) => reply({ type: "variables", ref: request.ref, data }));
    case "env":
      session.setEnv(request.values);
      return undefined;
    case "checkpoint":
      return session.checkpoint(request.checkpoint_id).then((taken) => {
        hosted.blobs.keep(taken);
        const { size, sha256, skipped, pause } = taken;
        const checkpoint_id = taken.checkpointId;
        const packages = [...taken.packages];
        const pieces = taken.pieces.map(({ sha256: hash, size: bytes }): [string, number] => [hash, bytes]);
        reply({
          type: "checkpoint_taken",
          ref: request.ref,
          checkpoint_id,
          size,
          sha256,
          skipped,
          packages,
          pieces,
          pause,
        });
      });
    case "restore":
      return restore(hosted, request, reply);
    case "undo":
      return session
        .undo(request.execution_id ?? null)
        .then((undone) => reply({ type: "undone", ref: request.ref, execution_id: undone }));
    case "drop_checkpoint":
      hosted.blobs.forget(request.checkpoint_id);
      session.dropCheckpoint(request.checkpoint_id);
      return undefined;
    case "status":
      return session.status().then((status) => {
        const { residentBytes: resident_bytes, limitBytes: limit_bytes, snapshots, undo } = status;
        const figures = { resident_bytes, limit_bytes, snapshots, undo, packages: [...status.packages] };
        reply({ type: "status", ref: request.ref, ...describeStatus(status), ...figures });
      });
    default:
      return request satisfies never;
  }
}

function replyWhether(isDone: boolean, ref: string, otherwise: string, reply: Reply): void {
  if (isDone) reply({ type: "done", ref });
  else reply({ type: "failed", ref, code: "not_found", detail: otherwise });
}

/** Restores from the snapshot if it is alive, or from the blob that the edge sent. If there is neither, asks the edge for the blob. */
async function restore({ session, blobs }: HostedSession, request: RestoreRequest, reply: Reply): Promise<void> {
  const { ref, checkpoint_id, clear_existing } = request;
  const blobPath = request.blob ? blobs.receivedPath(checkpoint_id) : undefined;
  try {
    const restored = await session.restore(checkpoint_id, {
      clearExisting: clear_existing,
      ...(blobPath === undefined ? {} : { blobPath }),
    });
    reply({ type: "restored", ref, checkpoint_id, ...restored });
  } catch (error) {
    const isMissing = error instanceof SessionError && error.code === "checkpoint_unavailable";
    if (!isMissing || request.blob) throw error;
    reply({ type: "blob_required", ref, checkpoint_id });
  } finally {
    if (blobPath !== undefined) blobs.discard(checkpoint_id);
  }
}
