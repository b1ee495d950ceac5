// Which tests run where: plain Node, real workerd, or everything real at once.
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

const maxWorkers = 2;

/** Tests in plain Node; `files` are globs under test/. */
function nodeProject(name: string, files: string[], timeoutMs: number, filesInParallel = true) {
  return {
    test: {
      name,
      include: files.map((file) => `test/${file}`),
      environment: "node" as const,
      pool: "forks" as const,
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      fileParallelism: filesInParallel,
    },
  };
}

export default defineConfig({
  test: {
    maxWorkers,
    passWithNoTests: true,
    projects: [
      nodeProject("contract", ["contract/**/*.test.ts"], 10_000),
      nodeProject("runner", ["{runner,local,client,cli,scripts}/**/*.test.ts"], 30_000),
      {
        plugins: [cloudflareTest({ wrangler: { configPath: "./wrangler.toml" } })],
        test: {
          name: "edge",
          include: ["test/edge/**/*.test.ts"],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          // itty-durable mixes module formats; bundling it first gives workerd one that it can load.
          deps: { optimizer: { ssr: { enabled: true, include: ["itty-durable"] } } },
        },
      },
      nodeProject("system", ["system/**/*.test.ts"], 120_000, false),
      nodeProject("attacks", ["attacks/**/*.test.ts"], 120_000, false),
    ],
  },
});
