/** The Cloudflare configuration: wrangler bundles each environment's Worker with all its bindings. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { runStep } from "../../scripts/run-step.ts";

it.each(["staging", "production"])(
  "%s passes wrangler's dry run",
  async (environment) => {
    const out = mkdtempSync(join(tmpdir(), "pyrepl3-wrangler-"));
    try {
      const config = "deploy/cloudflare/wrangler.toml";
      const run = await runStep(
        "wrangler",
        ["deploy", "--dry-run", "--config", config, "--env", environment, "--outdir", out],
        { env: { ...process.env, CI: "true", WRANGLER_SEND_METRICS: "false", WRANGLER_LOG_PATH: join(out, "log") } },
      );
      expect(run.exitCode, run.printed).toBe(0);
      for (const name of ["CLIENT_SESSIONS", "FLEET", "RUNNERS", "CHECKPOINTS", "FLEET_SHARDS"]) {
        expect(run.printed).toContain(`env.${name}`);
      }
      expect(run.printed).toContain("The following containers are available");
      expect(run.printed.toLowerCase()).not.toContain("warning");
    } finally {
      rmSync(out, { recursive: true });
    }
  },
  120_000,
);
