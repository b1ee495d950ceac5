/** Owns reading the headers `If-Match` and `If-None-Match` of a call on a file (RFC 9110, section 13.1). */
import type { FileCondition } from "../../channel/file-message.ts";

const TAG = /(W\/)?("[^"]*"|[^\s,"]+)/g;

/** The tags of a header, `*` for any, undefined without the header. @param isWeakTaken whether a weak tag counts as its strong one. */
export function readTags(header: string | undefined, isWeakTaken: boolean): string[] | "*" | undefined {
  if (header === undefined) return undefined;
  if (header.trim() === "*") return "*";
  const found: string[] = [];
  for (const [, weak, tag = ""] of header.matchAll(TAG)) {
    // Some clients drop the quotes.
    if (weak === undefined || isWeakTaken) found.push(tag.startsWith('"') ? tag : `"${tag}"`);
  }
  return found;
}

/** The condition of a write. */
export function readCondition(ifMatch: string | undefined, ifNoneMatch: string | undefined): FileCondition {
  const match = readTags(ifMatch, false);
  const noneMatch = readTags(ifNoneMatch, true);
  return {
    ...(match === undefined ? {} : { if_match: match }),
    ...(noneMatch === undefined ? {} : { if_none_match: noneMatch }),
  };
}

/** Whether a reader that has these tags has this version. */
export function hasVersion(tags: string[] | "*" | undefined, etag: string): boolean {
  return tags === "*" || (tags?.includes(etag) ?? false);
}
