// Which tests run where: plain Node, real workerd, or everything real at once.
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";
import { testPython } from "./scripts/python-tests.ts";
import { findMissingParts, PART_NAMES } from "./test/support/needs.ts";

process.env.PYTHON = testPython();
const missingParts = findMissingParts();

const maxWorkers = 2;

/** How long a polled expectation may take to come true: a busy machine makes anything late. */
const POLL_MS = 20_000;

const foldersOfTheirOwn = ["contract", "edge", "system", "clients", "attacks"];

/** Small enough to be met in a test: a link, a session and a client that rest soon, a journal and a budget that fill. */
const edgeTestBindings = {
  CHECKPOINT_KEY: "c".repeat(32),
  RUNNER_TOKEN: "r".repeat(32),
  LINK_IDLE_SECONDS: "1",
  SESSION_IDLE_SECONDS: "4",
  SESSION_TTL_SECONDS: "8",
  JOURNAL_MAX_BYTES: "1048576",
  UNACKED_OUTPUT_BYTES: "65536",
  MAX_QUEUED_EXECUTIONS: "4",
  MAX_SESSIONS_PER_CLIENT: "2",
};

/** A test with the tag of a part is skipped if this machine lacks the part. */
// A tag that says `skip: false` would take back the skip of a test's other tags.
const tags = PART_NAMES.map((name) => (missingParts.has(name) ? { name, skip: true } : { name }));

/** Tests in plain Node, in one folder of test/; `runner` takes every folder that is no project of its own. */
function nodeProject(name: string, timeoutMs: number, filesInParallel = true) {
  const isRest = !foldersOfTheirOwn.includes(name);
  return {
    test: {
      name,
      tags,
      include: [isRest ? "test/**/*.test.ts" : `test/${name}/**/*.test.ts`],
      exclude: isRest ? foldersOfTheirOwn.map((folder) => `test/${folder}/**`) : [],
      environment: "node" as const,
      pool: "forks" as const,
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      expect: { poll: { timeout: POLL_MS } },
      fileParallelism: filesInParallel,
    },
  };
}

export default defineConfig({
  test: {
    maxWorkers,
    // A test's output is shown only if the test fails.
    silent: "passed-only",
    projects: [
      nodeProject("contract", 120_000),
      nodeProject("runner", 120_000),
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: { bindings: edgeTestBindings },
          }),
        ],
        test: {
          name: "edge",
          globalSetup: ["test/support/edge-setup.ts"],
          include: ["test/edge/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: POLL_MS } },
          // itty-durable mixes module formats; bundling it first gives workerd a module that it can load.
          deps: { optimizer: { ssr: { enabled: true, include: ["itty-durable"] } } },
        },
      },
      nodeProject("system", 120_000, false),
      nodeProject("clients", 120_000, false),
      nodeProject("attacks", 120_000, false),
    ],
  },
});
