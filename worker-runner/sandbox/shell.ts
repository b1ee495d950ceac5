/** Owns how a word is written so that a POSIX shell takes it as it is. */

export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
