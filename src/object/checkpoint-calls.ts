/** Owns the calls that save a session's state and go back to it: checkpoints, restore, branch, undo. */
import type { Grant } from "../grant.ts";
import { notFound } from "../problem.ts";
import { type CheckpointId, DEFAULT_SESSION, type SessionName } from "../protocol/identity.ts";
import type { SessionCalls } from "../session-calls.ts";
import * as actions from "./session/actions.ts";
import type { ClientStores } from "./session/client-stores.ts";
import type { SessionBook } from "./session-book.ts";
import { checkpointOf, isListed } from "./store/checkpoint-store.ts";

type BranchBody = Parameters<SessionCalls["branch"]>[1];
type UndoBody = Parameters<SessionCalls["undo"]>[1];

export class CheckpointCalls {
  readonly #stores: ClientStores;
  readonly #book: SessionBook;

  constructor(stores: ClientStores, book: SessionBook) {
    this.#stores = stores;
    this.#book = book;
  }

  async create(name: SessionName, checkpointName: string | undefined, grant: Grant | undefined) {
    const session = this.#book.use(name, grant);
    return checkpointOf(await actions.checkpoint(session, checkpointName));
  }

  list(session?: SessionName) {
    return { checkpoints: this.#stores.checkpoints.list(session).map(checkpointOf) };
  }

  get(id: CheckpointId) {
    return checkpointOf(this.#stores.checkpoints.visible(id));
  }

  async delete(id: CheckpointId): Promise<null> {
    const found = this.#stores.checkpoints.visible(id);
    if (!isListed(found)) throw notFound("checkpoint");
    const session = this.#book.open(found.session);
    await session.checkpointing.delete(found, session.incarnations.ready);
    return null;
  }

  async restore(name: SessionName, id: CheckpointId, clearExisting: boolean, grant: Grant | undefined) {
    const session = this.#book.use(name, grant);
    const outcome = await actions.restore(session, id, clearExisting);
    session.context.announce({ state: "restored", reason: "restore", checkpointId: id });
    return outcome;
  }

  branch({ checkpoint_id, session, name }: BranchBody, grant: Grant | undefined) {
    const of = checkpoint_id === undefined ? null : this.#stores.checkpoints.visible(checkpoint_id).session;
    return this.#book.branch(this.#book.open(session ?? of ?? DEFAULT_SESSION), name, checkpoint_id, grant);
  }

  async undo(body: UndoBody) {
    const session = this.#book.open(body.session ?? DEFAULT_SESSION);
    const outcome = await actions.undo(session, body.execution_id);
    session.context.announce({ state: "restored", reason: "undo" });
    return outcome;
  }
}
