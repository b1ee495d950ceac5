/** Terminal output as lines of styled runs: colours, carriage returns, cut escapes, and nothing else that output may try. */
import { describe, expect, it } from "vitest";
import { PLAIN, type Run, TerminalText } from "../../src/console/terminal-text.ts";

function textOf(line: readonly Run[]): string {
  return line.map((run) => run.text).join("");
}

function read(...pieces: string[]): { lines: string[]; line: string } {
  const terminal = new TerminalText();
  for (const piece of pieces) terminal.write(piece);
  return { lines: terminal.takeComplete().map(textOf), line: textOf(terminal.line) };
}

describe("terminal text", () => {
  it("keeps plain text as it is, in as few runs as it can", () => {
    const terminal = new TerminalText();
    terminal.write("a\tb ☃ ");
    terminal.write("more");
    expect(terminal.line).toEqual([{ text: "a\tb ☃ more", style: PLAIN }]);
  });

  it("completes lines and hands each out once", () => {
    const terminal = new TerminalText();
    terminal.write("one\ntwo\nthr");
    expect(terminal.takeComplete().map(textOf)).toEqual(["one", "two"]);
    terminal.write("ee\n");
    expect(terminal.takeComplete().map(textOf)).toEqual(["three"]);
    expect(terminal.takeComplete()).toEqual([]);
  });

  it("writes over a line after a carriage return, as progress bars do", () => {
    expect(read("10%\r20%\r100%").line).toBe("100%");
    expect(read("abcdef\rxy").line).toBe("xycdef");
    expect(read("abcdef\rxy\u001b[K").line).toBe("xy");
    expect(read("abc\b\bX").line).toBe("aXc");
    expect(read("a\r\nb\r\n").lines).toEqual(["a", "b"]);
  });

  it("reads colours and drops them again", () => {
    const terminal = new TerminalText();
    terminal.write(
      "\u001b[1;31mred\u001b[0m plain \u001b[38;5;196mx\u001b[38;2;1;2;300my\u001b[94;102mz\u001b[39;49mw",
    );
    expect(terminal.line.map(({ text, style }) => [text, style.foreground, style.background, style.bold])).toEqual([
      ["red", 1, null, true],
      [" plain ", null, null, false],
      ["x", "rgb(255 0 0)", null, false],
      ["y", "rgb(1 2 255)", null, false],
      ["z", 12, 10, false],
      ["w", null, null, false],
    ]);
  });

  it("reads an escape that comes in pieces", () => {
    const terminal = new TerminalText();
    for (const character of "a\u001b[31mb\u001b]0;title\u0007c") terminal.write(character);
    expect(terminal.line.map(({ text, style }) => [text, style.foreground])).toEqual([
      ["a", null],
      ["bc", 1],
    ]);
  });

  it.each([
    ["a window's title", "\u001b]0;evil\u0007"],
    ["a link", "\u001b]8;;https://evil.test\u001b\\"],
    ["a clipboard write", "\u001b]52;c;ZXZpbA==\u0007"],
    ["cursor movement", "\u001b[2J\u001b[1;1H\u001b[10A"],
    ["a question to the terminal", "\u001b[6n\u001b[c\u001b[?1049h"],
    ["a device control string", "\u001bPq#0;2;0;0;0\u001b\\"],
    ["a reset", "\u001bc"],
    ["a bell and other controls", "\u0007\u0000\u000e\u007f"],
  ])("drops %s", (_name, sequence) => {
    expect(read(`a${sequence}b`).line).toBe("ab");
  });

  it("does not wait for ever for an escape that never ends", () => {
    expect(read(`a\u001b]0;${"x".repeat(400)}`, "b").line.endsWith("b")).toBe(true);
  });

  it("reads a million characters of short lines and a storm of carriage returns before the test times out", () => {
    expect(read("x".repeat(9).concat("\n").repeat(100_000)).lines.length).toBe(100_000);
    expect(read("12345\r".repeat(100_000)).line).toBe("12345");
  });
});
