/** Owns the place where code is typed: CodeMirror with Python, completion from the live session, and history. */
import {
  acceptCompletion,
  autocompletion,
  type CompletionContext,
  type CompletionResult,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  startCompletion,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, keymap, placeholder } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";

export interface EditorOptions {
  parent: HTMLElement;
  /** Lets the editor add its own style sheet under the page's policy. */
  nonce: string;
  run(code: string): void;
  interrupt(): void;
  /** Names that may stand at `cursor`, an offset in code points. */
  complete(code: string, cursor: number): Promise<{ matches: string[]; from: number } | null>;
}

const MAX_HISTORY = 200;

function codePoints(text: string): number {
  return [...text].length;
}

/** Where the code point with this number begins in the text. */
function offsetOf(text: string, codePoint: number): number {
  return [...text].slice(0, codePoint).join("").length;
}

/** Creates the editor; `focus` puts the cursor into it. */
export function createEditor(options: EditorOptions): { focus(): void; run(): void } {
  const past: string[] = [];
  let position = 0;
  let draft = "";

  const replace = (view: EditorView, text: string) => {
    view.dispatch({
      changes: { from: 0, to: view.state.doc.length, insert: text },
      selection: { anchor: text.length },
    });
    return true;
  };
  const run = (view: EditorView) => {
    const code = view.state.doc.toString();
    if (code.trim() === "") return true;
    if (past.at(-1) !== code) past.push(code);
    if (past.length > MAX_HISTORY) past.shift();
    position = past.length;
    draft = "";
    replace(view, "");
    options.run(code);
    return true;
  };
  const step = (view: EditorView, by: -1 | 1) => {
    const { state } = view;
    const line = state.doc.lineAt(state.selection.main.head);
    const isAtEdge = by === -1 ? line.number === 1 : line.number === state.doc.lines;
    const next = position + by;
    if (!state.selection.main.empty || !isAtEdge || next < 0 || next > past.length) return false;
    if (position === past.length) draft = state.doc.toString();
    position = next;
    return replace(view, past[next] ?? draft);
  };
  const complete = async (context: CompletionContext): Promise<CompletionResult | null> => {
    const word = context.matchBefore(/[\w.]+/u);
    if (!context.explicit && !word?.text.includes(".")) return null;
    const code = context.state.doc.toString();
    const found = await options.complete(code, codePoints(code.slice(0, context.pos)));
    if (found === null || found.matches.length === 0) return null;
    return { from: offsetOf(code, found.from), options: found.matches.map((label) => ({ label })), validFor: /^\w*$/u };
  };

  const keys = Prec.highest(
    keymap.of([
      { key: "Shift-Enter", run },
      { key: "Mod-Enter", run },
      { key: "ArrowUp", run: (view) => step(view, -1) },
      { key: "ArrowDown", run: (view) => step(view, 1) },
      {
        key: "Ctrl-c",
        run: (view) => {
          if (!view.state.selection.main.empty) return false;
          options.interrupt();
          return true;
        },
      },
    ]),
  );
  const completeOnTab = {
    key: "Tab",
    run: (view: EditorView) => {
      if (acceptCompletion(view)) return true;
      const { head, empty } = view.state.selection.main;
      const before = view.state.doc.sliceString(Math.max(0, head - 1), head);
      return empty && /[\w.]/u.test(before) ? startCompletion(view) : false;
    },
  };

  const view = new EditorView({
    parent: options.parent,
    state: EditorState.create({
      extensions: [
        autocompletion({ override: [complete], activateOnTyping: true }),
        // The list of completions takes the arrows while it is open, so its keys come before the history's.
        Prec.highest(keymap.of(completionKeymap)),
        keys,
        keymap.of([completeOnTab, ...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
        history(),
        python(),
        indentUnit.of("    "),
        EditorState.tabSize.of(4),
        bracketMatching(),
        closeBrackets(),
        drawSelection(),
        syntaxHighlighting(classHighlighter),
        EditorView.lineWrapping,
        EditorView.cspNonce.of(options.nonce),
        EditorView.contentAttributes.of({ "aria-label": "Python code", spellcheck: "false" }),
        placeholder("print('Hello')"),
      ],
    }),
  });
  return { focus: () => view.focus(), run: () => run(view) };
}
