/** Owns the panel of the workspace's files beside the transcript: it lists them, takes dropped files, downloads and deletes. */
import type { FileEntry } from "../protocol/file.ts";
import type { Identity } from "./identity.ts";
import { element } from "./page.ts";
import { deleteFile, fileContent, filesOf, uploadFile } from "./rest.ts";
import { sizeText } from "./size-text.ts";

const MAX_SHOWN = 500;

export interface FilePanelParts {
  panel: HTMLElement;
  list: HTMLElement;
  /** Says that there are no files, or more than are shown. */
  note: HTMLElement;
  picker: HTMLInputElement;
}

export class FilePanel {
  readonly #parts: FilePanelParts;
  readonly #notice: (text: string) => void;
  #identity: Identity;

  constructor(parts: FilePanelParts, identity: Identity, notice: (text: string) => void) {
    this.#parts = parts;
    this.#identity = identity;
    this.#notice = notice;
    const { panel, picker } = parts;
    picker.addEventListener("change", () => {
      void this.#upload([...(picker.files ?? [])]);
      picker.value = "";
    });
    panel.addEventListener("dragover", (event) => {
      event.preventDefault();
      panel.classList.add("target");
    });
    panel.addEventListener("dragleave", () => panel.classList.remove("target"));
    panel.addEventListener("drop", (event) => {
      event.preventDefault();
      panel.classList.remove("target");
      void this.#upload([...(event.dataTransfer?.files ?? [])]);
    });
  }

  /** Shows the files of another session from now on. */
  set identity(identity: Identity) {
    this.#identity = identity;
    this.#parts.list.replaceChildren();
  }

  /** Lists the files anew. */
  async refresh(): Promise<void> {
    const identity = this.#identity;
    const answer = await filesOf(identity);
    if (identity !== this.#identity) return;
    const { list, note } = this.#parts;
    if (!answer.ok) {
      note.hidden = false;
      note.textContent = answer.detail;
      return;
    }
    const files = answer.value.entries.filter(({ type }) => type !== "directory");
    list.replaceChildren(...files.slice(0, MAX_SHOWN).map((file) => this.#entry(file)));
    const hasMore = answer.value.truncated || files.length > MAX_SHOWN;
    note.hidden = files.length > 0 && !hasMore;
    note.textContent = files.length === 0 ? "None yet. Drop files here." : "There are more files.";
  }

  #entry(file: FileEntry): HTMLElement {
    const item = element("li");
    const detail = element(
      "p",
      "detail",
      `${sizeText(file.size)} · ${new Date(file.modified_at * 1000).toLocaleString()}`,
    );
    item.append(element("strong", "", file.path), detail);
    if (file.type === "file") {
      const download = element("button", "", "Download");
      download.type = "button";
      download.setAttribute("aria-label", `Download ${file.path}`);
      download.addEventListener("click", () => void this.#download(file));
      item.append(download);
    }
    const remove = element("button", "quiet", "Delete");
    remove.type = "button";
    remove.setAttribute("aria-label", `Delete ${file.path}`);
    remove.addEventListener("click", () => void this.#delete(file));
    item.append(remove);
    return item;
  }

  async #upload(files: readonly File[]): Promise<void> {
    for (const file of files) {
      const answer = await uploadFile(this.#identity, file.name, file);
      this.#notice(answer.ok ? `${file.name} is in the workspace.` : `${file.name}: ${answer.detail}`);
    }
    await this.refresh();
  }

  /** The call needs headers, so it cannot be a plain link. The browser keeps a large answer on its disk. */
  async #download(file: FileEntry): Promise<void> {
    const answer = await fileContent(this.#identity, file.path);
    if (!answer.ok) {
      this.#notice(answer.detail);
      return;
    }
    const url = URL.createObjectURL(answer.value);
    const link = element("a");
    link.href = url;
    link.download = file.path.split("/").at(-1) ?? "file";
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  async #delete(file: FileEntry): Promise<void> {
    const answer = await deleteFile(this.#identity, file.path);
    if (!answer.ok) this.#notice(answer.detail);
    await this.refresh();
  }
}
