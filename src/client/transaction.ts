/** Owns transactions of several runs: all of them count, or the session is as it was before the first. */
import type { Outcome } from "./outcome.ts";
import type { RunSettings } from "./run-options.ts";

/** What a transaction needs of a client. */
interface Sessioned {
  run(code: string, settings?: RunSettings): { orThrow(): Promise<Outcome> };
  checkpoint(name?: string): Promise<{ checkpoint_id: string }>;
  restore(checkpointId: string): Promise<unknown>;
  deleteCheckpoint(checkpointId: string): Promise<void>;
}

export interface Transaction {
  /** Runs code in the transaction. @throws PythonError where it fails, which rolls the transaction back unless it is caught. */
  run(code: string, settings?: RunSettings): Promise<Outcome>;
}

/**
 * Calls `work` with a transaction, and keeps what its runs did.
 *
 * @throws what `work` throws, after the session's state is as it was before.
 */
export async function inTransaction<T>(client: Sessioned, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  const { checkpoint_id: before } = await client.checkpoint();
  try {
    return await work({ run: (code, settings) => client.run(code, settings).orThrow() });
  } catch (error) {
    await client.restore(before);
    throw error;
  } finally {
    await client.deleteCheckpoint(before);
  }
}
