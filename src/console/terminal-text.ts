/** Owns how terminal output is read: lines of styled runs, with colours, carriage returns and nothing that could do harm. */
// biome-ignore-all lint/suspicious/noControlCharactersInRegex: control characters are what it looks for

/** A colour of the 16 by its number, or any other as a CSS colour. */
export type Colour = number | string | null;

export interface Style {
  foreground: Colour;
  background: Colour;
  bold: boolean;
  faint: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
}

export interface Run {
  text: string;
  style: Style;
}

export const PLAIN: Style = Object.freeze({
  foreground: null,
  background: null,
  bold: false,
  faint: false,
  italic: false,
  underline: false,
  inverse: false,
});

/** A longer escape sequence is none: it is dropped rather than waited for. */
const MAX_ESCAPE_CHARS = 256;
const ESCAPE = "\u001b";
// Control sequences, operating system commands, and the two-character escapes.
const CONTROL = /^\u001b\[([0-9:;<=>?]*)[ -/]*([@-~])/;
const COMMAND = /^\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)/;
const SHORT = /^\u001b[ -/]*[0-OQ-WYZ\\`-~]/;
const SPECIAL = /[\u0000-\u0008\u000a-\u001f\u007f]/;

function paletteColour(index: number): Colour {
  if (index < 16) return index;
  if (index >= 232) {
    const level = 8 + 10 * (index - 232);
    return `rgb(${level} ${level} ${level})`;
  }
  const level = (step: number) => (step === 0 ? 0 : 55 + 40 * step);
  const cube = index - 16;
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`;
}

/** Reads `38;5;n` or `38;2;r;g;b` from `codes` at `at`; says how many codes it took. */
function extendedColour(codes: readonly number[], at: number): { colour: Colour; taken: number } {
  const clamp = (value: number | undefined) => Math.min(255, Math.max(0, value ?? 0));
  if (codes[at + 1] === 5) return { colour: paletteColour(clamp(codes[at + 2])), taken: 3 };
  if (codes[at + 1] === 2) {
    const [red, green, blue] = [clamp(codes[at + 2]), clamp(codes[at + 3]), clamp(codes[at + 4])];
    return { colour: `rgb(${red} ${green} ${blue})`, taken: 5 };
  }
  return { colour: null, taken: codes.length - at };
}

/** The style after a `CSI … m`. */
export function restyle(style: Style, parameters: string): Style {
  const codes = parameters.split(/[;:]/).map((part) => Number(part) || 0);
  let next = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    if (code === 0) next = { ...PLAIN };
    else if (code === 1) next.bold = true;
    else if (code === 2) next.faint = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.inverse = true;
    else if (code === 22) next = { ...next, bold: false, faint: false };
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.inverse = false;
    else if (code >= 30 && code <= 37) next.foreground = code - 30;
    else if (code >= 90 && code <= 97) next.foreground = code - 90 + 8;
    else if (code === 39) next.foreground = null;
    else if (code >= 40 && code <= 47) next.background = code - 40;
    else if (code >= 100 && code <= 107) next.background = code - 100 + 8;
    else if (code === 49) next.background = null;
    else if (code === 38 || code === 48) {
      const { colour, taken } = extendedColour(codes, at);
      if (code === 38) next.foreground = colour;
      else next.background = colour;
      at += taken - 1;
    }
  }
  return next;
}

/** What was written so far, as lines; only the last line may still change. */
export class TerminalText {
  /** Lines that are complete and were not taken yet. */
  #complete: Run[][] = [];
  #line: Run[] = [];
  #column = 0;
  #length = 0;
  #style: Style = PLAIN;
  #held = "";

  /** Reads more output; an escape sequence may be cut anywhere. */
  write(text: string): void {
    let rest = this.#held + text;
    this.#held = "";
    while (rest !== "") {
      const special = rest.search(SPECIAL);
      if (special !== 0) {
        const plain = special === -1 ? rest : rest.slice(0, special);
        this.#put(plain);
        rest = rest.slice(plain.length);
        continue;
      }
      if (rest.startsWith(ESCAPE)) {
        const taken = this.#escape(rest);
        if (taken === 0) {
          this.#held = rest;
          return;
        }
        rest = rest.slice(taken);
        continue;
      }
      this.#control(rest.charAt(0));
      rest = rest.slice(1);
    }
  }

  /** The lines that became complete since the last call. */
  takeComplete(): Run[][] {
    const lines = this.#complete;
    this.#complete = [];
    return lines;
  }

  /** The line that is still being written. */
  get line(): readonly Run[] {
    return this.#line;
  }

  #control(character: string): void {
    if (character === "\n") {
      this.#complete.push(this.#line);
      this.#line = [];
      this.#column = 0;
      this.#length = 0;
    } else if (character === "\r") this.#column = 0;
    else if (character === "\b") this.#column = Math.max(0, this.#column - 1);
  }

  /** @returns how many characters the sequence has; 0 where its end is still to come. */
  #escape(text: string): number {
    const control = CONTROL.exec(text);
    if (control !== null) {
      if (control[2] === "m") this.#style = restyle(this.#style, control[1] ?? "");
      else if (control[2] === "K") this.#erase(control[1] ?? "");
      return control[0].length;
    }
    const other = COMMAND.exec(text) ?? SHORT.exec(text);
    if (other !== null) return other[0].length;
    return text.length > MAX_ESCAPE_CHARS ? 1 : 0;
  }

  #erase(parameters: string): void {
    const characters = this.#spread();
    const kept = parameters === "2" || parameters === "1" ? [] : characters.slice(0, this.#column);
    this.#gather(kept);
  }

  #put(text: string): void {
    if (this.#column === this.#length) {
      const last = this.#line.at(-1);
      if (last !== undefined && last.style === this.#style) last.text += text;
      else this.#line.push({ text, style: this.#style });
      this.#length += text.length;
      this.#column = this.#length;
      return;
    }
    const characters = this.#spread();
    for (const [index, character] of text.split("").entries()) {
      characters[this.#column + index] = { text: character, style: this.#style };
    }
    this.#column += text.length;
    this.#gather(characters);
  }

  /** The line as single characters, for writing over what is there. */
  #spread(): Run[] {
    return this.#line.flatMap(({ text, style }) => text.split("").map((character) => ({ text: character, style })));
  }

  #gather(characters: readonly Run[]): void {
    const line: Run[] = [];
    for (const { text, style } of characters) {
      const last = line.at(-1);
      if (last !== undefined && last.style === style) last.text += text;
      else line.push({ text, style });
    }
    this.#line = line;
    this.#length = characters.length;
    this.#column = Math.min(this.#column, this.#length);
  }
}
