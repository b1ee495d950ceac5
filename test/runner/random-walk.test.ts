// A long walk of executions, failures, deaths, checkpoints and restores; a model beside it knows what the state must be.
import { expect, it } from "vitest";
import type { CheckpointId } from "../../src/protocol/identity.ts";
import type { Session } from "../../worker-runner/index.ts";
import { run, startSession } from "./borrowed-session.ts";
import { chooseSeed, randomFrom } from "./random-numbers.ts";

const STEPS = 1_000;
const POLICIES = ["commit_always", "rollback_on_failure", "rollback_always"] as const;

/** What the session must hold: a list in Python, and the same list here. */
class Walk {
  readonly #session: Session;
  readonly #random: (below: number) => number;
  #model: number[] = [];
  readonly #saved = new Map<CheckpointId, number[]>();
  #step = 0;

  constructor(session: Session, random: (below: number) => number) {
    this.#session = session;
    this.#random = random;
  }

  async step(): Promise<void> {
    this.#step += 1;
    const dice = this.#random(100);
    if (dice < 45) await this.#execute("");
    else if (dice < 60) await this.#execute("\nraise ValueError('no')", "exception");
    else if (dice < 70) await this.#execute("\nimport os; os._exit(1)", "process_died");
    else if (dice < 72) await this.#execute("\nimport ctypes; ctypes.string_at(0)", "process_died");
    else if (dice < 75) await this.#execute("\nwhile True: pass", "timeout");
    else if (dice < 85) await this.#checkpoint();
    else if (dice < 98) await this.#restore();
    else await this.#reset();
    await this.check();
  }

  async check(): Promise<void> {
    const { terminal } = await run(this.#session, "[v, v is alias]");
    expect(terminal.data).toMatchObject({ value: [this.#model, true] });
  }

  async begin(): Promise<void> {
    await run(this.#session, "v = alias = []");
    this.#model = [];
  }

  async #execute(ending: string, reason?: string): Promise<void> {
    const policy = POLICIES[this.#random(3)] ?? "commit_always";
    const code = `alias.append(${this.#step}); del v[:-8]${ending}`;
    const { terminal } = await run(this.#session, code, {
      transaction_policy: policy,
      timeout: reason === "timeout" ? 0.05 : 30,
    });
    expect(terminal.type).toBe(reason ? "error" : "result");
    if (reason) expect(terminal.data).toMatchObject({ reason });
    const isKept =
      reason === "process_died" ? false : policy === "commit_always" || (policy === "rollback_on_failure" && !reason);
    expect(terminal.data.transaction).toBe(isKept ? "committed" : "rolled_back");
    if (isKept) this.#model = [...this.#model, this.#step].slice(-8);
  }

  async #checkpoint(): Promise<void> {
    const checkpointId = `cp${this.#step}` as CheckpointId;
    await this.#session.checkpoint(checkpointId);
    this.#saved.set(checkpointId, this.#model);
    const [oldest] = this.#saved.keys();
    if (this.#saved.size <= 12 || !oldest) return;
    this.#session.dropCheckpoint(oldest);
    this.#saved.delete(oldest);
  }

  async #restore(): Promise<void> {
    const ids = [...this.#saved.keys()];
    const checkpointId = ids[this.#random(Math.max(1, ids.length))];
    if (!checkpointId) return;
    await this.#session.restore(checkpointId);
    this.#model = this.#saved.get(checkpointId) ?? [];
  }

  async #reset(): Promise<void> {
    await this.#session.reset();
    await this.begin();
  }
}

it("agrees with its model at every step", { timeout: 180_000 }, async () => {
  const seed = chooseSeed();
  const session = await startSession({ recoveryCopiesBurst: 10 * STEPS });
  const walk = new Walk(session, randomFrom(seed));
  await walk.begin();
  for (let step = 1; step <= STEPS; step += 1) {
    await walk.step().catch((error: Error) => {
      throw new Error(`step ${step} with SEED=${seed}: ${error.message}`, { cause: error });
    });
  }
});
