/** Owns the list of checkpoints beside the transcript: going back to one, deleting one. */
import type { z } from "zod";
import type { Checkpoint } from "../protocol/server-message.ts";
import { element } from "./page.ts";
import { sizeText } from "./size-text.ts";

type Shown = z.infer<typeof Checkpoint>;

export interface CheckpointActions {
  restore(checkpoint: Shown): void;
  remove(checkpoint: Shown): void;
}

function entry(checkpoint: Shown, actions: CheckpointActions): HTMLElement {
  const item = element("li");
  const name = checkpoint.name ?? "Without a name";
  item.title = checkpoint.checkpoint_id;
  const time = element("time", "", new Date(checkpoint.created_at * 1000).toLocaleString());
  const detail = element("p", "detail");
  detail.append(time, ` · ${sizeText(checkpoint.size)}`);
  item.append(element("strong", "", name), detail);
  if (checkpoint.skipped.length > 0) {
    const names = checkpoint.skipped.map((skipped) => `${skipped.name} (${skipped.reason})`).join(", ");
    item.append(element("p", "detail", `Not saved: ${names}`));
  }
  const restore = element("button", "", "Restore");
  restore.type = "button";
  restore.addEventListener("click", () => actions.restore(checkpoint));
  const remove = element("button", "quiet", "Delete");
  remove.type = "button";
  remove.setAttribute("aria-label", `Delete ${checkpoint.name ?? checkpoint.checkpoint_id}`);
  remove.addEventListener("click", () => actions.remove(checkpoint));
  item.append(restore, remove);
  return item;
}

/** Shows these checkpoints, newest first. */
export function showCheckpoints(
  list: HTMLElement,
  empty: HTMLElement,
  checkpoints: readonly Shown[],
  actions: CheckpointActions,
): void {
  const sorted = checkpoints.toSorted((a, b) => b.created_at - a.created_at);
  list.replaceChildren(...sorted.map((checkpoint) => entry(checkpoint, actions)));
  empty.hidden = sorted.length > 0;
}
