/** Owns how workerd serves the edge on this machine: the Worker of wrangler.toml, its Durable Objects and its bucket, on one socket. */
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Config, NoOpLog, R2_PLUGIN, type Service, type Worker_Binding } from "miniflare";
import type { unstable_getMiniflareWorkerOptions as readWranglerToml } from "wrangler";
import { SOCKET_NAME } from "./workerd-process.ts";

type WorkerOptions = ReturnType<typeof readWranglerToml>["workerOptions"];
type BucketOptions = ReturnType<typeof R2_PLUGIN.options.parse>;
type PluginOptions = Parameters<typeof R2_PLUGIN.getServices>[0];
type DurableObject = string | { className: string };

/** Part of the names of the stored files: another one would lose every session. */
const WORKER_NAME = "pyrepl3";
const DISK = "do:storage";

/**
 * WebSocket messages are garbage that only a full collection frees, and without a limit V8 collects late: 1 GB of
 * output left 1.1 GB. The edge asks for collections itself (`src/object/runner/collect-garbage.ts`); the limit bounds the memory in use at a time.
 */
const V8_FLAGS = ["--expose-gc", "--max-old-space-size=512", "--max-semi-space-size=2"];

/**
 * The code of miniflare's bucket names a server in miniflare's own process, which writes files for every caller. It is not started
 * here: this Worker, which refuses everything, has its name.
 */
const NOBODY = "export default { fetch: () => new Response(null, { status: 404 }) };";

/** What the bucket's Worker imports, as files of miniflare's package. */
const BUCKET_MODULES = { "miniflare:shared": "index.worker.js", "miniflare:zod": "zod.worker.js" };

export interface WorkerdConfigOptions {
  workerOptions: WorkerOptions;
  /** The Worker's one module. */
  module: string;
  /** Variables over those of wrangler.toml and .dev.vars. */
  variables: Record<string, string>;
  /** The folder of sessions and checkpoints; made if it is missing. */
  storageDir: string;
}

/**
 * Puts the configuration together. The only socket is the public one, which leads to the Worker; all other services are reachable
 * from inside workerd only.
 */
export async function buildWorkerdConfig(options: WorkerdConfigOptions): Promise<Config> {
  const { workerOptions, module, variables, storageDir } = options;
  const bucketOptions = R2_PLUGIN.options.parse({ r2Buckets: workerOptions.r2Buckets });
  const bucketBindings = (await R2_PLUGIN.getBindings(bucketOptions, 0)) ?? [];
  const objectsDir = join(storageDir, "do");
  await mkdir(objectsDir, { recursive: true });
  const objects = Object.entries<DurableObject>(workerOptions.durableObjects ?? {}).map(([name, object]) => {
    if (typeof object === "string") throw new Error(`wrangler.toml gives ${name} no class of its own`);
    return { name, className: object.className };
  });
  return {
    structuredLogging: true,
    v8Flags: V8_FLAGS,
    sockets: [{ name: SOCKET_NAME, service: { name: WORKER_NAME }, http: {} }],
    services: [
      {
        name: WORKER_NAME,
        worker: {
          compatibilityDate: workerOptions.compatibilityDate,
          compatibilityFlags: workerOptions.compatibilityFlags,
          modules: [{ name: "index.js", esModule: module }],
          bindings: [
            ...variableBindings({ ...workerOptions.bindings, ...variables }),
            ...bucketBindings,
            ...objects.map(({ name, className }) => ({ name, durableObjectNamespace: { className } })),
          ],
          durableObjectNamespaces: objects.map(({ className }) => ({
            className,
            uniqueKey: `${WORKER_NAME}-${className}`,
            enableSql: true,
          })),
          durableObjectStorage: { localDisk: DISK },
        },
      },
      { name: DISK, disk: { path: objectsDir, writable: true } },
      ...(await bucketServices(bucketOptions, storageDir)),
      {
        name: "loopback",
        worker: { compatibilityDate: "2026-07-30", modules: [{ name: "nobody.js", esModule: NOBODY }] },
      },
      // The runners' addresses and JWKS_URL may be private ones.
      { name: "internet", network: { allow: ["public", "private"], tlsOptions: await certificates() } },
    ],
    extensions: [{ modules: await Promise.all(Object.entries(BUCKET_MODULES).map(readBucketModule)) }],
  };
}

async function readBucketModule([name, file]: [string, string]): Promise<{ name: string; esModule: string }> {
  const path = createRequire(import.meta.url).resolve(`miniflare/dist/src/workers/shared/${file}`);
  return { name, esModule: await readFile(path, "utf8") };
}

/** Those that browsers trust, and those of NODE_EXTRA_CA_CERTS, which the runner's Node trusts too. */
async function certificates(): Promise<{ trustBrowserCas: boolean; trustedCertificates: string[] }> {
  const path = process.env.NODE_EXTRA_CA_CERTS;
  const text = path ? await readFile(path, "utf8") : "";
  const own = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return { trustBrowserCas: true, trustedCertificates: own };
}

function variableBindings(variables: Record<string, unknown>): Worker_Binding[] {
  return Object.entries(variables).map(([name, value]) => ({ name, json: JSON.stringify(value) }));
}

/** Miniflare's bucket: a Worker that keeps its table and its blobs in one folder. */
async function bucketServices(options: BucketOptions, storageDir: string): Promise<Service[]> {
  // Of the options that miniflare gives to each plugin, the bucket's plugin reads only these.
  const given: Partial<PluginOptions> = {
    options,
    sharedOptions: {},
    defaultPersistRoot: storageDir,
    tmpPath: storageDir,
    log: new NoOpLog(),
    unsafeStickyBlobs: false,
  };
  const services = await R2_PLUGIN.getServices(given as PluginOptions);
  if (!Array.isArray(services)) throw new Error("miniflare gives no bucket");
  return services;
}
