/** Owns which client sent a request: the header of a REST call, the query or header of a WebSocket. */
import { fieldMessage } from "../field-message.ts";
import { type Grant, mayUseClient } from "../grant.ts";
import { ProblemError } from "../problem.ts";
import { ClientId } from "../protocol/identity.ts";

function parseClientId(value: string, grant: Grant): ClientId {
  const parsed = ClientId.safeParse(value, { error: fieldMessage });
  if (parsed.success) {
    if (mayUseClient(grant, parsed.data)) return parsed.data;
    throw new ProblemError({ code: "forbidden", detail: "The token does not allow this client id." });
  }
  const message = parsed.error.issues[0]?.message ?? "is not valid";
  throw new ProblemError({ code: "client_id_invalid", detail: `The client id ${message}.` });
}

/**
 * The client of a REST call, from its `client-id` header.
 *
 * @throws ProblemError `client_id_required`, `client_id_invalid` or `forbidden`.
 */
export function clientOfRest(request: Request, grant: Grant): ClientId {
  const value = request.headers.get("client-id");
  if (value === null || value === "") {
    throw new ProblemError({ code: "client_id_required", detail: "Name the client in the `client-id` header." });
  }
  return parseClientId(value, grant);
}

/**
 * The client of a WebSocket: query `client_id`, else header `client-id`, else a new UUID.
 *
 * @throws ProblemError `client_id_invalid` or `forbidden`.
 */
export function clientOfSocket(request: Request, grant: Grant): ClientId {
  const value = new URL(request.url).searchParams.get("client_id") ?? request.headers.get("client-id");
  return value === null || value === "" ? parseClientId(crypto.randomUUID(), grant) : parseClientId(value, grant);
}
