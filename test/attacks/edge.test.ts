/**
 * Owns the proof that one client within its rate of messages does not hold up the edge for others. The product has its default limits, and
 * the neighbour is a process of its own. What is held are counts; the neighbour's times are printed.
 */
// @module-tag bubblewrap
import { afterAll, beforeAll, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { EdgeArena, type Figures } from "./edge/edge-arena.ts";
import { type Answers, edgeAttacks } from "./edge/edge-attacks.ts";

const MIB = 1024 * 1024;
const SECONDS = 2;
/** Reading goes on while the last answers come. */
const SLACK_SECONDS = 20;
/** Without the limits the edge grew by 1.5 GB and more. */
const GROWTH_BYTES = 700 * MIB;

let arena: EdgeArena;
beforeAll(async () => {
  arena = await EdgeArena.open();
});
afterAll(() => arena?.close());

/** What one client may read again in the time of an attack. */
const readableBytes =
  DEFAULT_LIMITS.readBurstBytes + DEFAULT_LIMITS.readBytesPerSecond * (SECONDS + SLACK_SECONDS) + 16 * MIB;

const expected: Record<string, (answers: Answers) => void> = {
  "14 MB of output, then GET /executions/{id} 45 times a second": (answers) => {
    expect(Object.keys(answers).sort()).toEqual(["200", "429", "bytes"]);
    expect((answers["200"] ?? 0) + (answers["429"] ?? 0)).toBe(45 * SECONDS);
    expect(answers.bytes).toBeLessThan(readableBytes);
  },
  "attach from 0 with a window of 1 GiB 86 times": ({ bytes }) => {
    expect(bytes).toBeLessThan(readableBytes);
  },
  "300 sockets of one client on one loop of prints": (answers) => {
    expect(answers.open).toBe(DEFAULT_LIMITS.socketsPerClient);
    expect(answers["429"]).toBe(300 - DEFAULT_LIMITS.socketsPerClient);
  },
  "600 KB frames of an unknown type": ({
    bytes,
    invalid_request,
    "closed 1006": cut,
    "closed 1008": closed,
    ...codes
  }) => {
    // None of them was parsed.
    expect(invalid_request).toBeUndefined();
    expect(Object.keys(codes).sort()).toEqual(["payload_too_large", "rate_limited"]);
    expect(bytes).toBeLessThan(MIB);
    expect((cut ?? 0) + (closed ?? 0)).toBe(1);
  },
  "bodies of 1.2 MB with 400,000 values each": (answers) => {
    // None of them was parsed.
    expect(answers["400"]).toBeUndefined();
    expect(answers["413"]).toBeLessThan(45 * SECONDS);
  },
  "bodies of 1.2 MB with 150,000 values each": (answers) => {
    expect(answers["429"]).toBeGreaterThan(0);
    expect(Object.keys(answers).filter((what) => what.startsWith("5"))).toEqual([]);
  },
  "while True: display(1)": ({ bytes }) => {
    expect(bytes).toBeLessThan(DEFAULT_LIMITS.unackedOutputBytes + MIB);
  },
};

it.each(edgeAttacks)("serves a neighbour under $name", async (attack) => {
  const clientId = `attacker-${edgeAttacks.indexOf(attack)}`;
  await attack.prepare?.(arena.product, clientId);
  let answers: Answers = {};
  const figures: Figures = await arena.during(async () => {
    answers = await attack.run(arena.product, clientId, SECONDS);
  });
  console.log(`${attack.name}: ${JSON.stringify(answers)}; neighbour ${JSON.stringify(figures)}`);
  expect(figures.answers).toBeGreaterThan(1);
  expect(figures.grownBytes).toBeLessThan(GROWTH_BYTES);
  expected[attack.name]?.(answers);
});
