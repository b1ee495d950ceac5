/** Owns pictures in a terminal: which protocol the terminal has, by its variables, and a PNG written in it. */
import { decodePng } from "./decode-png.ts";
import { encodeSixel } from "./encode-sixel.ts";

export type GraphicsProtocol = "kitty" | "iterm2" | "sixel";

/** Of the kitty protocol: base64 that one escape sequence may carry. */
const CHUNK_CHARS = 4096;
const ESCAPE = "\u001b";

/** The protocol of this terminal; null if it has none. A multiplexer such as tmux passes none on. */
export function findGraphics(environment: NodeJS.ProcessEnv): GraphicsProtocol | null {
  const { TERM = "", TERM_PROGRAM: program = "", LC_TERMINAL: terminal = "", TMUX, STY } = environment;
  if (TMUX || STY || /^(screen|tmux|dumb)/.test(TERM)) return null;
  const { KITTY_WINDOW_ID: kitty, KONSOLE_VERSION: konsole } = environment;
  if (kitty || konsole || TERM === "xterm-kitty" || TERM === "xterm-ghostty" || program === "ghostty") return "kitty";
  if (["iTerm.app", "WezTerm", "mintty", "rio"].includes(program) || terminal === "iTerm2") return "iterm2";
  if (/sixel|^(foot|mlterm|yaft|contour)/.test(TERM)) return "sixel";
  return null;
}

/**
 * The escape sequences that show a picture.
 *
 * @param base64 the picture; PNG unless the protocol is iTerm2's, which takes every format.
 * @returns null if the picture is of a kind that the protocol cannot show.
 */
export function inlineImage(protocol: GraphicsProtocol, mediaType: string, base64: string): string | null {
  switch (protocol) {
    case "iterm2":
      return `${ESCAPE}]1337;File=inline=1;size=${Buffer.byteLength(base64, "base64")}:${base64}\u0007\n`;
    case "kitty":
      return mediaType === "image/png" ? kittyImage(base64) : null;
    case "sixel": {
      const picture = mediaType === "image/png" ? decodePng(Buffer.from(base64, "base64")) : null;
      return picture === null ? null : `${encodeSixel(picture)}\n`;
    }
    default:
      return protocol satisfies never;
  }
}

function kittyImage(base64: string): string {
  const pieces = base64.match(new RegExp(`.{1,${CHUNK_CHARS}}`, "g")) ?? [];
  const sequences = pieces.map((piece, index) => {
    const more = index < pieces.length - 1 ? 1 : 0;
    // f=100: PNG; a=T: show it at once; q=2: no answer, which would be read as typed.
    const keys = index === 0 ? `a=T,f=100,q=2,m=${more}` : `m=${more}`;
    return `${ESCAPE}_G${keys};${piece}${ESCAPE}\\`;
  });
  return `${sequences.join("")}\n`;
}
