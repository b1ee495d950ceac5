/** Owns how the page tells which files an execution changed. */
import type { FileChange } from "../protocol/file.ts";
import { element } from "./page.ts";
import { sizeText } from "./size-text.ts";

/** A longer list is folded up until its reader opens it. */
const MAX_UNFOLDED = 5;

/** A list of the changes with their number above it; null if nothing has changed. */
export function changedFilesElement(changes: readonly FileChange[], isTruncated: boolean): HTMLElement | null {
  if (changes.length === 0) {
    return isTruncated ? element("p", "note changes", "Which files changed is not known.") : null;
  }
  const box = element("details", "changes");
  box.open = changes.length <= MAX_UNFOLDED && !isTruncated;
  const count = `${isTruncated ? "more than " : ""}${changes.length}`;
  box.append(element("summary", "", `Files changed: ${count}`));
  const list = element("ul");
  for (const { path, change, size } of changes) {
    const item = element("li", "", `${change} `);
    item.append(element("strong", "", path), change === "deleted" ? "" : ` (${sizeText(size)})`);
    list.append(item);
  }
  box.append(list);
  return box;
}
