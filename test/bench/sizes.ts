// Measures snapshots, rollback and crash recovery against the size of the state, and the pause while a large one is being stored.
import { testPython } from "../../scripts/python-tests.ts";
import { SessionPool } from "../../worker-runner/index.ts";
import { percentile, time } from "./measure.ts";
import type { Figure } from "./report.ts";

const MB = 1_000_000;
const SIZES = [10 * MB, 100 * MB, 1000 * MB];
const STORED_BYTES = 200 * MB;
const ROUNDS = 5;

type Session = Awaited<ReturnType<SessionPool["acquire"]>>;

/** Runs code to its end; `ends` is how it must end. */
async function run(session: Session, code: string, options: object = {}, ends = "result"): Promise<void> {
  let last = "";
  for await (const event of session.execute({ code, ...options })) last = event.type;
  if (last !== ends) throw new Error(`${code} ended in ${last}`);
}

const fill = (bytes: number) => `kept = bytearray(${bytes})\nfor at in range(0, ${bytes}, 4096): kept[at] = 1`;
const median = async (action: () => Promise<unknown>) => percentile(await time(ROUNDS, action), 0.5);
const inMs = (what: string, value: number): Figure => ({ what, value, unit: "ms" });

async function measureSize(session: Session, bytes: number): Promise<Figure[]> {
  const label = `${bytes / MB} MB`;
  await run(session, fill(bytes));
  const commit = await median(() => run(session, "at = 1"));
  const rollback = await median(() => run(session, "kept[0] = 2", { transaction_policy: "rollback_always" }));
  const recovery = await median(async () => {
    await run(session, "import os; os._exit(1)", {}, "error");
    await run(session, "at");
  });
  return [
    inMs(`execution, the copy before it included, ${label}`, commit),
    inMs(`execution and its rollback, ${label}`, rollback),
    inMs(`death, recovery and the next answer, ${label}`, recovery),
  ];
}

async function measureStored(session: Session): Promise<Figure> {
  await run(session, `import os; kept = os.urandom(${STORED_BYTES})`);
  const { pause } = await session.checkpoint();
  return inMs(`pause of a session while ${STORED_BYTES / MB} MB of it are stored`, pause * 1000);
}

/** Uses the local library, with no limit on memory that would be in the way. */
export async function measureSizes(): Promise<Figure[]> {
  const pool = new SessionPool({
    python: testPython(),
    minIdle: 1,
    limits: { memoryBytes: 8_000 * MB },
    recoveryMaxResidentBytes: 4_000 * MB,
    checkpointMaxBytes: 1_000 * MB,
  });
  await pool.start();
  const session = await pool.acquire();
  try {
    const figures: Figure[] = [];
    for (const bytes of SIZES) figures.push(...(await measureSize(session, bytes)));
    return [...figures, await measureStored(session)];
  } finally {
    await pool.shutdown();
  }
}
