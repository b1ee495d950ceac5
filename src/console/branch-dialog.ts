/** Owns the dialog that asks for the name of a new session with this one's state, and says why a name is refused. */
import type { Missing } from "../protocol/session-state.ts";
import type { Identity } from "./identity.ts";
import { byId } from "./page.ts";
import { branchSession } from "./rest.ts";

export interface BranchMade {
  session: string;
  /** What could not be brought over. */
  missing: readonly Missing[];
}

export class BranchDialog {
  readonly #dialog = byId("branch-dialog", HTMLDialogElement);
  readonly #name = byId("branch-name", HTMLInputElement);
  readonly #error = byId("branch-error", HTMLParagraphElement);
  readonly #submit = byId("branch-submit", HTMLButtonElement);
  readonly #made: (branch: BranchMade) => void;
  #identity: Identity | null = null;

  constructor(made: (branch: BranchMade) => void) {
    this.#made = made;
    byId("branch-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#branch();
    });
    byId("branch-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
  }

  /** Asks for a name. Escape and Cancel leave everything as it is. */
  open(identity: Identity): void {
    this.#identity = identity;
    this.#name.value = `${identity.session}-2`;
    this.#error.textContent = "";
    this.#dialog.showModal();
    this.#name.select();
  }

  async #branch(): Promise<void> {
    const identity = this.#identity;
    const name = this.#name.value.trim();
    if (identity === null) return;
    if (name === "") {
      this.#error.textContent = "The new session needs a name.";
      return;
    }
    this.#submit.disabled = true;
    const answer = await branchSession(identity, name);
    this.#submit.disabled = false;
    if (!answer.ok) {
      this.#error.textContent = answer.detail;
      this.#name.focus();
      return;
    }
    this.#dialog.close();
    this.#made({ session: answer.value.session.session, missing: answer.value.missing });
  }
}
