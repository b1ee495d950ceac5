/** Owns the setting OTEL_EXPORTER_OTLP_HEADERS of edge and runner: `name=value` pairs separated by commas, with percent-encoded values. */
import { z } from "zod";

export const OtlpHeaders = z
  .string()
  .default("")
  .transform((text, context) => {
    const headers: Record<string, string> = {};
    for (const pair of text.split(",").filter((part) => part.trim() !== "")) {
      const [, name, value] = /^\s*([^=\s]+)=(.*)$/.exec(pair) ?? [];
      if (name === undefined || value === undefined) {
        context.addIssue({ code: "custom", message: "must be name=value, name=value" });
        return z.NEVER;
      }
      try {
        headers[name] = decodeURIComponent(value.trim());
      } catch {
        context.addIssue({ code: "custom", message: "has a value that is not percent-encoded" });
        return z.NEVER;
      }
    }
    return headers;
  });
