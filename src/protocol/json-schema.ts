/** Owns the check that a value is a JSON Schema: each keyword that has a fixed form has it, at every depth. */
import { z } from "zod";

const MAX_DEPTH = 32;
const TYPES: ReadonlySet<unknown> = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);

type Check = (value: unknown, depth: number) => string | null;

/** A schema as JSON Schema has it for an object; what it says about the values is the client's business. */
export const JsonSchema = z.record(z.string(), z.unknown()).superRefine((schema, context) => {
  const fault = faultOf(schema, 0);
  if (fault !== null) context.addIssue({ code: "custom", message: `is no JSON Schema: ${fault}` });
});
export type JsonSchema = z.infer<typeof JsonSchema>;

/** The schema of a tool's arguments, which are always an object. */
export const ArgumentsSchema = JsonSchema.refine(({ type }) => type === undefined || type === "object", {
  message: 'must have the type "object", since a tool takes named arguments',
});

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function faultOf(value: unknown, depth: number): string | null {
  if (typeof value === "boolean") return null;
  if (!isObject(value)) return "a schema is an object, true or false";
  if (depth > MAX_DEPTH) return `it has more than ${MAX_DEPTH} levels`;
  for (const [keyword, check] of KEYWORDS) {
    const fault = Object.hasOwn(value, keyword) ? check(value[keyword], depth + 1) : null;
    if (fault !== null) return fault;
  }
  return null;
}

function typeFault(value: unknown): string | null {
  const names = Array.isArray(value) ? value : [value];
  return names.length > 0 && names.every((name) => TYPES.has(name)) ? null : "`type` names no type of JSON";
}

function namedFault(keyword: string): Check {
  return (value, depth) => {
    if (!isObject(value)) return `\`${keyword}\` is an object`;
    return firstFault(Object.values(value), depth);
  };
}

function listFault(keyword: string): Check {
  return (value, depth) => {
    if (!Array.isArray(value) || value.length === 0) return `\`${keyword}\` is a list of schemas`;
    return firstFault(value, depth);
  };
}

function firstFault(schemas: unknown[], depth: number): string | null {
  for (const schema of schemas) {
    const fault = faultOf(schema, depth);
    if (fault !== null) return fault;
  }
  return null;
}

function requiredFault(value: unknown): string | null {
  const isNames = Array.isArray(value) && value.every((name) => typeof name === "string");
  return isNames ? null : "`required` is a list of names";
}

const KEYWORDS: [string, Check][] = [
  ["type", typeFault],
  ["required", requiredFault],
  ["enum", (value) => (Array.isArray(value) ? null : "`enum` is a list")],
  ["properties", namedFault("properties")],
  ["patternProperties", namedFault("patternProperties")],
  ["$defs", namedFault("$defs")],
  ["definitions", namedFault("definitions")],
  ["items", (value, depth) => (Array.isArray(value) ? firstFault(value, depth) : faultOf(value, depth))],
  ["prefixItems", listFault("prefixItems")],
  ["additionalProperties", faultOf],
  ["not", faultOf],
  ["anyOf", listFault("anyOf")],
  ["allOf", listFault("allOf")],
  ["oneOf", listFault("oneOf")],
];
