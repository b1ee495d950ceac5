/** Owns the wording of field errors: each message continues the name of its field ("must be …", "is required"). */
import type { z } from "zod";

const MAX_NAMED = 12;

const TYPE_NAMES: Record<string, string> = {
  string: "a string",
  number: "a number",
  int: "an integer",
  boolean: "true or false",
  object: "an object",
  record: "an object",
  array: "an array",
  null: "null",
};

/** The message for an issue that its schema gives no message of its own for. */
export function fieldMessage(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined ? "is required" : `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return issue.input === undefined ? "is required" : `must be ${oneOf(issue.values)}`;
    case "too_small":
      return issue.inclusive === false
        ? `must be greater than ${issue.minimum}`
        : `must ${size(issue.origin, "at least", issue.minimum)}`;
    case "too_big":
      return issue.inclusive === false
        ? `must be less than ${issue.maximum}`
        : `must ${size(issue.origin, "at most", issue.maximum)}`;
    case "invalid_format":
      return issue.format === "regex" ? "must have the documented form" : `must be a valid ${issue.format}`;
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "unrecognized_keys":
      return `must not have ${issue.keys.slice(0, MAX_NAMED).join(", ")}`;
    case "invalid_union": {
      const { input, discriminator } = issue as { input?: unknown; discriminator?: string };
      if (discriminator === undefined) return "must have one of the documented forms";
      const has = typeof input === "object" && input !== null && Object.hasOwn(input, discriminator);
      return has ? "must be a known value" : "is required";
    }
    case "invalid_key":
      // What is wrong with the name: the field of the error is the name itself.
      return issue.issues[0]?.message ?? "must have valid names only";
    case "invalid_element":
      return "must have valid elements only";
    case "custom":
      return "must be valid";
    default:
      return "must be valid";
  }
}

function oneOf(values: readonly unknown[]): string {
  const named = values.slice(0, MAX_NAMED).map((value) => JSON.stringify(value));
  return named.length === 1 ? `${named[0]}` : `one of ${named.join(", ")}`;
}

function size(origin: string, bound: string, limit: number | bigint): string {
  const one = Number(limit) === 1;
  switch (origin) {
    case "string":
      return `have ${bound} ${limit} ${one ? "character" : "characters"}`;
    case "array":
    case "set":
      return `have ${bound} ${limit} ${one ? "element" : "elements"}`;
    case "object":
    case "map":
    case "record":
      return `have ${bound} ${limit} ${one ? "field" : "fields"}`;
    default:
      return `be ${bound} ${limit}`;
  }
}
