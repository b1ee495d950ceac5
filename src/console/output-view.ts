/** Owns how one execution's text output stands on the page: in order, bounded, redrawn at most once a frame. */
import { element } from "./page.ts";
import { PLAIN, type Run, TerminalText } from "./terminal-text.ts";

type StreamName = "stdout" | "stderr";

/** More lines than this are not kept on the page; the journal has them. */
const MAX_LINES = 5000;
/** A longer line is cut on the page. */
const MAX_LINE_CHARS = 20_000;

function runElement({ text, style }: Run): Node {
  if (style === PLAIN) return document.createTextNode(text);
  const span = element("span", "", text);
  const classes = (["bold", "faint", "italic", "underline", "inverse"] as const).filter((name) => style[name]);
  span.classList.add(...classes.map((name) => `ansi-${name}`));
  if (typeof style.foreground === "number") span.classList.add(`ansi-fg-${style.foreground}`);
  else if (style.foreground !== null) span.style.color = style.foreground;
  if (typeof style.background === "number") span.classList.add(`ansi-bg-${style.background}`);
  else if (style.background !== null) span.style.backgroundColor = style.background;
  return span;
}

function fillLine(line: HTMLElement, runs: readonly Run[], end: string): void {
  let room = MAX_LINE_CHARS;
  const nodes: Node[] = [];
  for (const run of runs) {
    if (room <= 0) break;
    nodes.push(runElement(run.text.length > room ? { ...run, text: `${run.text.slice(0, room)}…` } : run));
    room -= run.text.length;
  }
  line.replaceChildren(...nodes, end);
}

/** Shows what an execution writes to stdout and stderr. */
export class OutputView {
  readonly root = element("div", "output");
  #block: { stream: StreamName; pre: HTMLPreElement; text: TerminalText; last: HTMLElement } | null = null;
  #lines = 0;
  #dropped = 0;
  #note: HTMLElement | null = null;
  #frame = 0;

  write(stream: StreamName, text: string): void {
    if (this.#block?.stream !== stream) {
      this.#flush();
      const pre = element("pre", stream);
      const last = element("span");
      pre.append(last);
      this.root.append(pre);
      this.#block = { stream, pre, text: new TerminalText(), last };
    }
    this.#block?.text.write(text);
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#flush());
  }

  /** Removes everything shown so far. */
  clear(): void {
    if (this.#frame !== 0) cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#block = null;
    this.#note = null;
    this.#lines = 0;
    this.#dropped = 0;
    this.root.replaceChildren();
  }

  /** Puts something else between the text: an image, a table, a prompt. */
  append(node: Node): void {
    this.#flush();
    this.#block = null;
    this.root.append(node);
  }

  #flush(): void {
    if (this.#frame !== 0) cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#block === null) return;
    const { pre, text, last } = this.#block;
    const complete = text.takeComplete();
    const shown = complete.slice(-MAX_LINES);
    this.#dropped += complete.length - shown.length;
    const fresh = document.createDocumentFragment();
    for (const runs of shown) {
      const line = element("span");
      fillLine(line, runs, "\n");
      fresh.append(line);
    }
    pre.insertBefore(fresh, last);
    this.#lines += shown.length;
    fillLine(last, text.line, "");
    this.#trim();
  }

  #trim(): void {
    for (const pre of this.root.querySelectorAll("pre")) {
      while (this.#lines > MAX_LINES && pre.childElementCount > 1) {
        pre.firstElementChild?.remove();
        this.#lines -= 1;
        this.#dropped += 1;
      }
    }
    if (this.#dropped === 0) return;
    if (this.#note === null) {
      this.#note = element("p", "note");
      this.root.prepend(this.#note);
    }
    this.#note.textContent = `${this.#dropped} earlier lines are not shown here; the journal has them.`;
  }
}
