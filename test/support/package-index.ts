/** Owns a package index for tests: packages that the test makes, served on a free port of 127.0.0.1. */
import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testPython } from "../../scripts/python-tests.ts";
import { TLS_IDENTITY } from "./tls-identity.ts";

/** A pure wheel has one module and its metadata; a source package has a `setup.py` of the test's own. */
export type TestPackage = { name: string; version: string } & ({ module: string } | { setup: string });

const MAKE = `
import io, json, sys, tarfile, zipfile
folder = sys.argv[1]
for package in json.loads(sys.argv[2]):
    name, version = package["name"], package["version"]
    if "module" in package:
        info = f"{name}-{version}.dist-info"
        files = {
            f"{name}.py": package["module"],
            f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        }
        files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
        with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as wheel:
            for path, text in files.items():
                wheel.writestr(path, text)
    else:
        with tarfile.open(f"{folder}/{name}-{version}.tar.gz", "w:gz") as archive:
            files = {"setup.py": package["setup"], "PKG-INFO": f"Metadata-Version: 1.0\\nName: {name}\\nVersion: {version}\\n"}
            for path, text in files.items():
                entry = tarfile.TarInfo(f"{name}-{version}/{path}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
`;

export interface TestIndex {
  /** For PACKAGE_INDEX_URL. */
  url: string;
  port: number;
  /** Paths that were asked for, in order. */
  asked: string[];
  /** From now on, requests get no answer. */
  hang(): void;
  /** From now on, requests are answered again. */
  answer(): void;
  close(): Promise<void>;
}

export interface TestIndexSettings {
  /** Whether it speaks TLS, with the identity in `tls-identity.ts`. */
  isSecure?: boolean;
  /** `user:secret`, without which it answers 401. Its links then have them too, as those of some indexes do. */
  credentials?: string;
}

/** Starts an index with these packages. `/simple/NAME/` lists the files of a package, as PEP 503 says. */
export async function startPackageIndex(
  packages: readonly TestPackage[],
  { isSecure = false, credentials }: TestIndexSettings = {},
): Promise<TestIndex> {
  const folder = await mkdtemp(join(tmpdir(), "pyrepl3-index-"));
  execFileSync(testPython(), ["-c", MAKE, folder, JSON.stringify(packages)]);
  const files = await readdir(folder);
  const asked: string[] = [];
  let isHanging = false;
  const scheme = isSecure ? "https" : "http";
  const listener: RequestListener = async (request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    if (isHanging) return;
    const isKnown = request.headers.authorization === `Basic ${Buffer.from(credentials ?? "").toString("base64")}`;
    if (credentials !== undefined && !isKnown) {
      response.writeHead(401, { "www-authenticate": "Basic" }).end("who are you?");
      return;
    }
    const base = credentials === undefined ? "" : `${scheme}://${credentials}@${request.headers.host}`;
    const name = /^\/simple\/([^/]+)\/$/.exec(path)?.[1];
    const found = name === undefined ? [] : files.filter((file) => file.startsWith(`${name}-`));
    const file = files.find((each) => path === `/files/${each}`);
    if (found.length > 0) {
      response.setHeader("content-type", "text/html");
      response.end(
        `<!DOCTYPE html><html><body>${found.map((each) => `<a href="${base}/files/${each}">${each}</a>`)}</body></html>`,
      );
    } else if (file !== undefined) {
      response.end(await readFile(join(folder, file)));
    } else {
      response.statusCode = 404;
      response.end();
    }
  };
  const server = isSecure ? createTlsServer(TLS_IDENTITY, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${scheme}://${credentials === undefined ? "" : `${credentials}@`}127.0.0.1:${port}/simple`,
    port,
    asked,
    hang() {
      isHanging = true;
    },
    answer() {
      isHanging = false;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
