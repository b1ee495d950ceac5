/**
 * The server of a page that runs Python: it knows who is signed in, and gives the page a short-lived token for the service. The service
 * has the same JWT_SECRET, and the page's origin in ALLOWED_ORIGINS.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { SignJWT } from "jose";

const FOLDER = fileURLToPath(new URL("page", import.meta.url));

export interface PageServerOptions {
  port: number;
  /** The service's address, as the browser reaches it. */
  service: string;
  secret: string;
  /** Who is signed in; your own server asks its cookie. */
  user: string;
}

export interface PageServer {
  close(): Promise<void>;
}

/** Serves the page on 127.0.0.1. */
export async function servePage({ port, service, secret, user }: PageServerOptions): Promise<PageServer> {
  const bundle = await build({
    entryPoints: [`${FOLDER}/main.ts`],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const page = await readFile(`${FOLDER}/index.html`);
  const key = new TextEncoder().encode(secret);
  const server = createServer(async (request, response) => {
    if (request.url === "/main.js") {
      response.setHeader("content-type", "text/javascript").end(bundle.outputFiles[0]?.text);
    } else if (request.url === "/settings") {
      const token = await new SignJWT()
        .setProtectedHeader({ alg: "HS256" })
        .setSubject(user)
        .setExpirationTime("5m")
        .sign(key);
      response.setHeader("content-type", "application/json").end(JSON.stringify({ service, token }));
    } else response.setHeader("content-type", "text/html").end(page);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
