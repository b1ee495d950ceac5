// Refuses words that hide who does what. A sentence with one of them has to name the thing.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const BANNED = /\b(whoever|lest|so many|in peace|whereby|thereof)\b/i;
const PROSE = /\.(md|ts|mjs|py|css|html|toml|yaml)$/;
/** Tests may quote code and output; what the project wrote about itself is elsewhere. */
const EXEMPT = /^(test|examples)\/|^scripts\/check-words\.ts$|^CHANGELOG\.md$/;

const files = execFileSync("git", ["ls-files"], { encoding: "utf8" }).trim().split("\n");
const found = files
  .filter((file) => PROSE.test(file) && !EXEMPT.test(file))
  .flatMap((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .flatMap((line, index) => {
        const word = BANNED.exec(line)?.[0];
        return word === undefined ? [] : [`${file}:${index + 1}: "${word}": ${line.trim().slice(0, 100)}`];
      }),
  );
if (found.length > 0) console.log(found.join("\n"));
process.exitCode = found.length > 0 ? 1 : 0;
