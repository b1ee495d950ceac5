/** Owns the description that a runner gives of itself: Python, sandbox, and which limits are enforced by which means. */
import { z } from "zod";

/** One limit: its value, whether this machine enforces it, and the means. */
export const EnforcedLimit = z.object({
  value: z.number().nullable(),
  enforced: z.boolean(),
  /** For example `cgroup-v1`, `rlimit`, `tmpfs`, `runner`, `none`. */
  mechanism: z.string(),
});
export type EnforcedLimit = z.infer<typeof EnforcedLimit>;

export const RunnerCapabilities = z.object({
  version: z.string(),
  python: z.object({ version: z.string(), implementation: z.string() }),
  serializer: z.object({
    name: z.enum(["cloudpickle", "source"]),
    version: z.string().nullable(),
  }),
  sandbox: z.object({
    kind: z.enum(["bwrap", "landlock", "none"]),
    isolated: z.boolean(),
    network: z.boolean(),
    seccomp: z.boolean(),
    detail: z.string(),
  }),
  /** Whether sessions can install packages. Absent from runners older than this field, which cannot. */
  packages: z.object({ enabled: z.boolean() }).default({ enabled: false }),
  /** What code can reach by HTTP and HTTPS through the runner's proxy. Absent from runners older than this field, which have none. */
  egress: z
    .object({
      enabled: z.boolean(),
      /** Entries of EGRESS_ALLOW: `example.org` and `*.example.org` for ports 80 and 443, `example.org:8443`, `192.0.2.7:8443`. */
      allow: z.array(z.string()),
    })
    .optional(),
  limits: z.record(z.string(), EnforcedLimit),
});
export type RunnerCapabilities = z.infer<typeof RunnerCapabilities>;

/** Answer of `GET /api/v1/capabilities`. */
export const Capabilities = RunnerCapabilities.extend({
  protocol: z.literal("v1"),
  edge_version: z.string(),
  transaction_policies: z.array(z.string()),
});
export type Capabilities = z.infer<typeof Capabilities>;
