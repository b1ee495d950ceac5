import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CheckpointId } from "../../src/protocol/identity.ts";
import { Session } from "../../worker-runner/index.ts";
import { startTestSandbox } from "../support/test-sandbox.ts";
import { failure, result } from "./borrowed-session.ts";
import { type Case, corpus, numpyCorpus } from "./corpus.ts";

let session: Session;
let other: Session;

beforeAll(async () => {
  const start = () => Session.start({ startSandbox: startTestSandbox });
  [session, other] = await Promise.all([start(), start()]);
});

afterAll(() => Promise.all([session.shutdown(), other.shutdown()]));

async function look({ look }: Case, at: Session = session): Promise<unknown> {
  return (await result(at, look, { transaction_policy: "rollback_always" })).value;
}

async function begin(one: Case): Promise<unknown> {
  await session.reset();
  await result(session, one.before);
  return look(one);
}

it("has at least forty cases", () => {
  expect(corpus.length).toBeGreaterThanOrEqual(40);
});

/** A branch is such a pair: a session and another one with its blob. What is done to one of them, the other does not see. */
async function expectNothingShared(one: Case, before: unknown, checkpointId: CheckpointId): Promise<void> {
  await result(session, one.change);
  expect(await look(one, other)).toEqual(before);
  await session.restore(checkpointId);
  await result(other, one.change);
  expect(await look(one)).toEqual(before);
}

function holdCase(one: Case): void {
  it("is as before a failed execution that is rolled back", async () => {
    const before = await begin(one);
    const error = await failure(session, `${one.change}\nraise ValueError('no')`, {
      transaction_policy: "rollback_on_failure",
    });
    expect(error).toMatchObject({ reason: "exception", state: "rolled_back", transaction: "rolled_back" });
    expect(await look(one)).toEqual(before);
  });

  it("is as before an execution that killed its interpreter", async () => {
    const before = await begin(one);
    expect(await failure(session, `${one.change}\nimport os\nos._exit(1)`)).toMatchObject({ state: "recovered" });
    expect(await look(one)).toEqual(before);
  });

  it("is as at the checkpoint after a restore from its snapshot", async () => {
    const before = await begin(one);
    const { checkpointId } = await session.checkpoint();
    await result(session, one.change);
    expect(await session.restore(checkpointId)).toEqual({ source: "snapshot", missing: [] });
    expect(await look(one)).toEqual(before);
    session.dropCheckpoint(checkpointId);
  });

  it(`comes back from its blob in another session${one.why ? `, as far as it can: ${one.why}` : ""}`, async () => {
    const before = await begin(one);
    const { checkpointId, blobPath, skipped } = await session.checkpoint();
    const { source, missing } = await other.restore(checkpointId, { blobPath });
    expect(source).toBe("stored");
    if (one.blob === "outside") return;
    if (one.blob === "named") expect([...skipped, ...missing]).not.toEqual([]);
    else {
      expect([...skipped, ...missing]).toEqual([]);
      expect(await look(one, other)).toEqual(before);
      await expectNothingShared(one, before, checkpointId);
    }
    session.dropCheckpoint(checkpointId);
    other.dropCheckpoint(checkpointId);
  });
}

describe.each(corpus)("$name", holdCase);
describe("with numpy", { tags: "numpy" }, () => {
  describe.each(numpyCorpus)("$name", holdCase);
});
