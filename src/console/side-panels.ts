/** Owns when the panels beside the transcript are read: while somebody looks at them, and again after each change. */
import { FilePanel } from "./file-panel.ts";
import type { Identity } from "./identity.ts";
import { byId } from "./page.ts";
import { VariablePanel } from "./variable-panel.ts";

export class SidePanels {
  readonly #files: FilePanel;
  readonly #variables: VariablePanel;
  /** Reading them starts an interpreter, so nothing is read while nobody looks. */
  #areShown = false;
  #reading: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  constructor(identity: Identity, notice: (text: string) => void) {
    const files = {
      panel: byId("files-panel", HTMLElement),
      list: byId("files", HTMLUListElement),
      note: byId("files-note", HTMLParagraphElement),
      picker: byId("file-picker", HTMLInputElement),
    };
    this.#files = new FilePanel(files, identity, notice);
    const variables = {
      list: byId("variables", HTMLUListElement),
      note: byId("variables-note", HTMLParagraphElement),
    };
    this.#variables = new VariablePanel(variables, identity);
  }

  /** Shows another session from now on. */
  set identity(identity: Identity) {
    this.#files.identity = identity;
    this.#variables.identity = identity;
  }

  show(areShown: boolean): void {
    this.#areShown = areShown;
    this.refresh();
  }

  /** Reads them anew. Changes during a reading ask for one more, however many they are. */
  refresh(): void {
    if (!this.#areShown || this.#next !== null) return;
    const next = this.#reading.then(async () => {
      this.#next = null;
      await Promise.all([this.#files.refresh(), this.#variables.refresh()]);
    });
    this.#next = next;
    this.#reading = next;
  }
}
