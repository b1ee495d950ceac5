/** Owns the settings of `npm start` itself; those of edge and runner are passed on to them as they are. */
import { extname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

/** The top of the repository, or of `dist/` in the package. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Of the programs that the service starts: `.ts` in the repository, `.js` in the package. */
export const CODE_EXTENSION = extname(import.meta.url);

const number = () => z.coerce.number({ error: "must be a number" });
const port = number().int().min(0).max(65_535);

const Variables = z.object({
  /** Of the edge; 0: any free port. */
  PORT: port.default(8787),
  /** The IP address that the edge listens on. */
  EDGE_HOST: z.union([z.ipv4(), z.ipv6()], { error: "must be an IP address" }).default("127.0.0.1"),
  /** Of the first runner; more runners take the ports after it. 0: any free ports. */
  RUNNER_PORT: port.default(8788),
  /** 0: runners elsewhere register, or RUNNER_URL names one. */
  RUNNERS: number().int().min(0).max(64).default(1),
  /** Where sessions, checkpoints and secrets are kept. */
  STATE_DIR: z.string().default(".wrangler/state"),
  LOG_FORMAT: z.enum(["auto", "json", "pretty"]).default("auto"),
});

export type StartSettings = z.infer<typeof Variables>;

/** A reason not to start that the user can fix: the message names the fault and the fix. */
export class StartError extends Error {
  override name = "StartError";
}

/**
 * Parses the environment of `npm start`.
 *
 * @throws StartError naming each wrong variable.
 */
export function parseStartSettings(environment: NodeJS.ProcessEnv): StartSettings {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = Variables.safeParse(present);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`);
    throw new StartError(`A setting is wrong: ${lines.join("; ")}`);
  }
  const { STATE_DIR } = parsed.data;
  return { ...parsed.data, STATE_DIR: isAbsolute(STATE_DIR) ? STATE_DIR : join(ROOT, STATE_DIR) };
}
