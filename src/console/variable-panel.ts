/** Owns the panel of the session's variables beside the transcript: name, type and a short text of each value. */
import type { Variable } from "../protocol/session-resource.ts";
import type { Identity } from "./identity.ts";
import { element } from "./page.ts";
import { variablesOf } from "./rest.ts";

export interface VariablePanelParts {
  list: HTMLElement;
  /** Says that there are no variables, that there are more, or why they cannot be read. */
  note: HTMLElement;
}

function entry(variable: Variable): HTMLElement {
  const item = element("li");
  const name = element("p", "variable-name");
  name.append(element("strong", "", variable.name), " ", element("span", "detail", variable.type));
  const value = element("pre", "variable-value", variable.repr);
  value.title = variable.repr;
  item.append(name, value);
  return item;
}

export class VariablePanel {
  readonly #parts: VariablePanelParts;
  #identity: Identity;

  constructor(parts: VariablePanelParts, identity: Identity) {
    this.#parts = parts;
    this.#identity = identity;
  }

  /** Shows the variables of another session from now on. */
  set identity(identity: Identity) {
    this.#identity = identity;
    this.#parts.list.replaceChildren();
  }

  /** Reads the variables anew. */
  async refresh(): Promise<void> {
    const identity = this.#identity;
    const answer = await variablesOf(identity);
    if (identity !== this.#identity) return;
    const { list, note } = this.#parts;
    if (!answer.ok) {
      note.hidden = false;
      note.textContent = answer.detail;
      return;
    }
    const { variables, truncated } = answer.value;
    list.replaceChildren(...variables.map(entry));
    note.hidden = variables.length > 0 && !truncated;
    note.textContent = variables.length === 0 ? "None yet. Code that you run makes them." : "There are more variables.";
  }
}
