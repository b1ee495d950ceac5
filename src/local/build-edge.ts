/**
 * Run as a process of its own, since wrangler, miniflare and esbuild take 300 MB: builds the edge for its parent, which sends a
 * `BuildOrder`, answers with workerd's configuration as bytes, then ends.
 */
import { once } from "node:events";
import { join } from "node:path";
import { serializeConfig } from "miniflare";
import { unstable_getMiniflareWorkerOptions as readWranglerToml } from "wrangler";
import { bundleEdge } from "./bundle-edge.ts";
import { ROOT } from "./settings.ts";
import { buildWorkerdConfig, type WorkerdConfigOptions } from "./workerd-config.ts";

export type BuildOrder = Pick<WorkerdConfigOptions, "variables" | "storageDir">;

const ordered = once(process, "message");
const { workerOptions, define, main } = readWranglerToml(join(ROOT, "wrangler.toml"));
if (main === undefined) throw new Error("wrangler.toml names no main file");
const module = await bundleEdge(main, define);
const [order] = (await ordered) as [BuildOrder];
const config: Uint8Array = serializeConfig(await buildWorkerdConfig({ ...order, workerOptions, module }));
process.send?.(config, () => process.exit());
