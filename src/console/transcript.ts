/** Owns the list of executions on the page, in the order in which they began, with what happened to the session between them. */
import type { ExecutionEvent } from "../protocol/event.ts";
import { ExecutionView } from "./execution-view.ts";
import { element } from "./page.ts";

/** More executions than this are not kept on the page. */
const MAX_EXECUTIONS = 200;
/** The page follows what is new while its reader is this close to the end. */
const NEAR_END_PX = 120;

type Answer = (executionId: string, inputId: string, value: string | null) => void;

export class Transcript {
  readonly #list: HTMLElement;
  readonly #answer: Answer;
  readonly #views = new Map<string, ExecutionView>();

  constructor(list: HTMLElement, answer: Answer) {
    this.#list = list;
    this.#answer = answer;
    // Output is drawn a frame after it came, so what follows the end is the list's height, not the event.
    let isFollowing = true;
    addEventListener("scroll", () => {
      isFollowing = innerHeight + scrollY >= document.documentElement.scrollHeight - NEAR_END_PX;
    });
    new ResizeObserver(() => {
      if (isFollowing) scrollTo({ top: document.documentElement.scrollHeight });
    }).observe(list);
  }

  /** Forgets everything: another client or session is shown from here on. */
  clear(): void {
    this.#views.clear();
    this.#list.replaceChildren();
  }

  /** Shows code that was sent, or that is known to have run. */
  start(executionId: string, code: string | null): ExecutionView {
    const present = this.#views.get(executionId);
    if (present !== undefined) {
      if (code !== null) present.setCode(code);
      return present;
    }
    const view = new ExecutionView(code, (inputId, value) => this.#answer(executionId, inputId, value));
    this.#views.set(executionId, view);
    this.#append(view.root);
    if (this.#views.size > MAX_EXECUTIONS) {
      const [oldest] = this.#views.keys();
      if (oldest !== undefined) {
        this.#views.get(oldest)?.root.remove();
        this.#views.delete(oldest);
      }
    }
    return view;
  }

  /** @returns true where the execution was not on the page, so that its code is to be asked for. */
  add(event: ExecutionEvent): boolean {
    const { execution_id: executionId } = event.data;
    const isUnknown = !this.#views.has(executionId);
    this.start(executionId, null).add(event);
    return isUnknown;
  }

  refuse(executionId: string, reason: string): boolean {
    const view = this.#views.get(executionId);
    if (view === undefined || view.isEnded) return false;
    view.refuse(reason);
    return true;
  }

  /** Says between two executions what happened to the session. @param action what its reader may do about it. */
  note(text: string, action?: { label: string; run(): void }): void {
    const item = element("li", "event", text);
    if (action !== undefined) {
      const button = element("button", "", action.label);
      button.type = "button";
      button.addEventListener("click", () => action.run());
      item.append(" ", button);
    }
    this.#append(item);
  }

  /** The first line of an execution's code; null if it is not on the page. */
  firstLineOf(executionId: string): string | null {
    return this.#views.get(executionId)?.firstLine ?? null;
  }

  get isEmpty(): boolean {
    return this.#list.childElementCount === 0;
  }

  #append(node: HTMLElement): void {
    this.#list.append(node);
  }
}
