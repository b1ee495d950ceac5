/**
 * Owns the proof that no kind of kernel memory is free of charge: each is refused, bounded in number, or counted as the session's. The
 * host's figures before and meanwhile stand beside what the session was charged.
 */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import type { Session } from "../../worker-runner/session/session.ts";
import { Arena } from "./arena.ts";
import { kernelMemories } from "./catalogue/kernel-memory.ts";
import { findGrades } from "./grade.ts";
import { resultOf, run } from "./outcome.ts";

const MIB = 1024 * 1024;
/** Other programs of the machine take kernel memory too, in a while that is not the same in three attempts. */
const UNCHARGED_BYTES = 64 * MIB;
const AGAIN = { retry: 2 };

const HOARD = (code: string, tries: number) => `${code}
held, problem = [], None
for _ in range(${tries}):
    try:
        held.append(make())
    except BaseException as error:
        problem = f"{type(error).__name__} {getattr(error, 'errno', None)}"
        break
[len(held), problem]`;

/** What the kernel uses for itself, and for sockets, on the whole machine. */
function kernelBytes(): number {
  const meminfo = readFileSync("/proc/meminfo", "utf8");
  const kilobytes = ["SUnreclaim", "KernelStack", "PageTables", "Shmem", "Percpu"].map((name) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(meminfo)?.[1] ?? 0),
  );
  const pages = [...readFileSync("/proc/net/sockstat", "utf8").matchAll(/ mem (\d+)/g)].map(([, count]) =>
    Number(count),
  );
  const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
  return sum(kilobytes) * 1024 + sum(pages) * 4096;
}

/** What the session is charged; 0 if nothing counts it. */
async function chargedBytes(session: Session): Promise<number> {
  return (await session.status()).residentBytes ?? 0;
}

describe.each(await findGrades())("by $kind", (grade) => {
  const arena = new Arena(grade);
  afterAll(() => arena.close());

  it.each(kernelMemories)("$name", AGAIN, async ({ name, code, tries, isRefused }) => {
    const neighbour = await arena.start();
    const session = await arena.start();
    try {
      await run(session, "canary = 40");
      const chargedBefore = await chargedBytes(session);
      const hostBefore = kernelBytes();
      const outcome = await run(session, HOARD(code, tries), 30);
      const hostGrowth = kernelBytes() - hostBefore;
      const charged = (await chargedBytes(session)) - chargedBefore;
      // Beyond its limit, the session is ended for it.
      const [count, problem] =
        outcome.end.type === "result" ? (resultOf(outcome) as [number, string | null]) : [-1, null];
      const ending = outcome.end.data.type === "error" ? outcome.end.data.reason : problem;
      const inMib = (bytes: number) => Math.round(bytes / MIB);
      console.log(
        `${name} by ${grade.kind}: ${count}, ${ending}; host ${inMib(hostGrowth)} MiB, session ${inMib(charged)} MiB`,
      );
      if (isRefused) expect([count, problem]).toEqual([0, expect.stringMatching(/^(PermissionError|OSError) /)]);
      expect(hostGrowth - Math.max(0, charged)).toBeLessThan(UNCHARGED_BYTES);
      expect(resultOf(await run(neighbour, "21 + 21", 60))).toBe(42);
    } finally {
      await session.shutdown();
      await neighbour.shutdown();
    }
  });
});
