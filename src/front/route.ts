/** Owns the declaration of a route: its description for /openapi.json beside its handler. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { toProblem } from "../problem.ts";
import { SessionName } from "../protocol/identity.ts";
import { PROBLEMS, Problem, type ProblemCode } from "../protocol/problem.ts";
import { Execution } from "../protocol/rest.ts";
import { Checkpoint } from "../protocol/server-message.ts";
import { SessionOverview } from "../protocol/session-resource.ts";
import { clientOfRest } from "./client-of-request.ts";
import type { FrontContext, FrontEnv } from "./context.ts";

export type FrontApp = OpenAPIHono<FrontEnv>;

const EXAMPLE_REQUEST_ID = "5b2f9c1e-3a41-4c55-9e0f-0f4b8a0c7d11";

/** A new, empty set of routes. */
export function newFrontApp(): FrontApp {
  return new OpenAPIHono<FrontEnv>();
}

/** A copy of an object's schema under a name; a copy, because only schemas made after zod-openapi was loaded take one. */
function nameSchema(name: string, schema: z.ZodObject): z.ZodType {
  return z.object(schema.shape).openapi(name);
}

/** Schemas that many answers share stand in the description once, under their name. */
const named = new Map<z.ZodType, z.ZodType>([
  [Problem, nameSchema("Problem", Problem)],
  [Execution, nameSchema("Execution", Execution)],
  [Checkpoint, nameSchema("Checkpoint", Checkpoint)],
  [SessionOverview, nameSchema("Session", SessionOverview)],
]);

/** The schema as the description shows it. */
export function shown(schema: z.ZodType): z.ZodType {
  return named.get(schema) ?? schema;
}

/** Below it every call is a client's. */
const CLIENTS_PATHS = "/api/v1/";

type RouteDescription = Parameters<typeof createRoute>[0];

/** Adds a route. Its body and query are read by the handler, so that size and wording stay the front's own. */
export function addRoute(
  app: FrontApp,
  description: RouteDescription,
  handler: (context: FrontContext) => Promise<Response> | Response,
): void {
  const route = createRoute(description);
  app.openAPIRegistry.registerPath(route);
  app.on(route.method.toUpperCase(), route.getRoutingPath(), (context) => {
    // The caller is checked before the request's content.
    if (route.path.startsWith(CLIENTS_PATHS)) clientOfRest(context.req.raw, context.get("grant"));
    return handler(context);
  });
}

/** A JSON answer with an example. */
export function jsonAnswer<Schema extends z.ZodType>(
  description: string,
  schema: Schema,
  example: NoInfer<z.input<Schema>>,
) {
  return { description, content: { "application/json": { schema: shown(schema), example } } };
}

/** A JSON body with an example. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema, example: NoInfer<z.input<Schema>>, required = true) {
  return { required, content: { "application/json": { schema, example } } };
}

/** The problems that a call can answer with, one response for each status. */
export function problems(...codes: ProblemCode[]) {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const { status } = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const answers = [...byStatus].map(([status, ofStatus]) => [
    status,
    {
      description: ofStatus.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join("; "),
      content: {
        "application/problem+json": {
          schema: shown(Problem),
          examples: Object.fromEntries(
            ofStatus.map((code) => [
              code,
              { value: toProblem({ code, detail: `${PROBLEMS[code].title}.` }, EXAMPLE_REQUEST_ID) },
            ]),
          ),
        },
      },
    },
  ]);
  return Object.fromEntries(answers) as Record<number, { description: string }>;
}

/** The header by which every call about a client names it. */
export const ClientHeader = z.object({
  "client-id": z.string().meta({ description: "Who calls. 1 to 128 letters, digits or `. _ ~ -`.", example: "ada" }),
});

/** The query by which a call names one of the client's sessions. */
export const SessionQuery = z.object({
  session: SessionName.optional().meta({ description: "The session; `default` where absent.", example: "default" }),
});

/** What can go wrong with every call about a client. */
export const COMMON_PROBLEMS: ProblemCode[] = [
  "invalid_request",
  "client_id_required",
  "client_id_invalid",
  "unauthorized",
  "forbidden",
  "origin_not_allowed",
  "rate_limited",
  "internal",
];

/** The problems of a call that needs the session's interpreter. */
export const INTERPRETER_PROBLEMS: ProblemCode[] = ["session_limit", "runner_error", "no_runner", "pool_exhausted"];
