/** Sockets of one client that are opened at the same moment: a few at once, some in turn, the rest refused. */
import { describe, expect, it } from "vitest";
import { openInTurn } from "../../../src/front/upgrade-turns.ts";
import { ProblemError } from "../../../src/problem.ts";

const MAX = 3;
const AT_ONCE = 4;

/** Starts `count` openings that end only by hand. */
function openMany(env: object, client: string, count: number) {
  const open = { now: 0, most: 0, all: 0 };
  const ends: (() => void)[] = [];
  const outcomes = Array.from({ length: count }, () =>
    openInTurn(env, client, MAX, async () => {
      open.now += 1;
      open.all += 1;
      open.most = Math.max(open.most, open.now);
      await new Promise<void>((resolve) => ends.push(resolve));
      open.now -= 1;
      return "open";
    }).catch((error: unknown) => (error instanceof ProblemError ? error.init.code : error)),
  );
  return { open, outcomes, ends };
}

describe("sockets of one client", () => {
  it("opens four at once, lets as many wait as a client may have, and refuses the others at once", async () => {
    const { open, outcomes, ends } = openMany({}, "a", AT_ONCE + MAX + 5);
    const refused = await Promise.all(outcomes.slice(AT_ONCE + MAX));
    expect(refused).toEqual(Array.from({ length: 5 }, () => "rate_limited"));
    expect(open).toMatchObject({ all: AT_ONCE, most: AT_ONCE });
    while (open.all < AT_ONCE + MAX || open.now > 0) {
      ends.shift()?.();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(await Promise.all(outcomes.slice(0, AT_ONCE + MAX))).toEqual(
      Array.from({ length: AT_ONCE + MAX }, () => "open"),
    );
    expect(open.most).toBe(AT_ONCE);
  });

  it("holds up no other client, and starts anew once all are open", async () => {
    const env = {};
    const first = openMany(env, "a", AT_ONCE);
    const other = openMany(env, "b", 1);
    expect([first.open.now, other.open.now]).toEqual([AT_ONCE, 1]);
    for (const end of [...first.ends, ...other.ends]) end();
    await Promise.all([...first.outcomes, ...other.outcomes]);
    expect(openMany(env, "a", AT_ONCE).open.now).toBe(AT_ONCE);
  });

  it("gives the place of a caller who has gone away to another one", async () => {
    // Nobody ends these: so looks a request that the platform has dropped.
    const env = {};
    openMany(env, "a", AT_ONCE);
    const late = openMany(env, "a", 1);
    await expect.poll(() => late.open.now, { timeout: 20_000, interval: 100 }).toBe(1);
  });
});
