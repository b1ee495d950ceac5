/** Owns the headers of a file download: a browser never renders the file, and saves it under its name in the workspace. */
import { getMimeType } from "hono/utils/mime";

const ANY_TYPE = "application/octet-stream";
/** What people keep in workspaces and the common table lacks. */
const MORE_TYPES: Record<string, string> = {
  ipynb: "application/x-ipynb+json",
  log: "text/plain; charset=utf-8",
  md: "text/markdown; charset=utf-8",
  parquet: "application/vnd.apache.parquet",
  py: "text/x-python; charset=utf-8",
  tar: "application/x-tar",
  toml: "application/toml",
  tsv: "text/tab-separated-values; charset=utf-8",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  yaml: "application/yaml",
  yml: "application/yaml",
};

/** The headers for the content of the file at `path`. */
export function fileHeaders(path: string): Record<string, string> {
  const name = path.split("/").filter(Boolean).at(-1) ?? "file";
  return {
    "content-type": getMimeType(name) ?? getMimeType(name, MORE_TYPES) ?? ANY_TYPE,
    "content-disposition": `attachment; filename="${plainName(name)}"; filename*=UTF-8''${encodedName(name)}`,
    "content-security-policy": "sandbox",
    "cache-control": "private, no-cache",
  };
}

/** For clients that know no other form: ASCII, without what ends the quotes. */
function plainName(name: string): string {
  return name.replace(/[^\x20-\x7e]|["\\%]/g, "_");
}

/** RFC 8187. `encodeURIComponent` leaves a few characters that the header must not have. */
function encodedName(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
