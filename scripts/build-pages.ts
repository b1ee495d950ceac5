// Builds the pages that the edge serves itself (console, API documentation) into one JSON module, src/console/dist/pages.json.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = `${root}src/console/dist/pages.json`;

/** One file as the edge serves it, compressed to keep the Worker small. */
interface Page {
  readonly type: string;
  readonly etag: string;
  readonly gzipBase64: string;
}

function toPage(type: string, content: string | Uint8Array): Page {
  const bytes = typeof content === "string" ? Buffer.from(content) : Buffer.from(content);
  return {
    type,
    etag: createHash("sha256").update(bytes).digest("hex").slice(0, 16),
    gzipBase64: gzipSync(bytes, { level: 9 }).toString("base64"),
  };
}

/** Removes the pointer to a source map that is not served. */
function withoutSourceMap(text: string): string {
  return text.replace(/\n?\/[/*]# sourceMappingURL=\S+(?: \*\/)?\s*$/, "\n");
}

const read = (path: string) => readFileSync(`${root}${path}`, "utf8");
const swagger = (file: string) => withoutSourceMap(read(`node_modules/swagger-ui-dist/${file}`));

async function bundle(entry: string): Promise<Uint8Array> {
  const result = await build({
    entryPoints: [`${root}${entry}`],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    write: false,
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error(`esbuild made nothing of ${entry}`);
  return file.contents;
}

const javascript = "text/javascript; charset=utf-8";
const css = "text/css; charset=utf-8";
const pages: Record<string, Page> = {
  "console.html": toPage("text/html; charset=utf-8", read("src/console/index.html")),
  "console.js": toPage(javascript, await bundle("src/console/main.ts")),
  "console.css": toPage(css, read("src/console/console.css")),
  "icon.svg": toPage("image/svg+xml", read("src/console/icon.svg")),
  "docs.html": toPage("text/html; charset=utf-8", read("src/console/docs.html")),
  "docs.js": toPage(javascript, await bundle("src/console/docs.ts")),
  "swagger-ui-bundle.js": toPage(javascript, swagger("swagger-ui-bundle.js")),
  "swagger-ui.css": toPage(css, swagger("swagger-ui.css")),
};

const built = `${JSON.stringify(pages)}\n`;
let present = "";
try {
  present = readFileSync(target, "utf8");
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}
// `wrangler dev` watches the folder: writing the same again would build for ever.
if (present !== built) {
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, built);
}
