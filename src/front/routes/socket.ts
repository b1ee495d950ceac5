/** Owns the WebSocket endpoint: it identifies the client and passes the socket to the client's object. */
import { z } from "@hono/zod-openapi";
import { ProblemError, type ProblemInit } from "../../problem.ts";
import { DEFAULT_SESSION } from "../../protocol/identity.ts";
import { EnvironmentName, RegionName } from "../../protocol/session-resource.ts";
import { SOCKET_HEADERS } from "../../session-calls.ts";
import { offeredSubprotocols, SUBPROTOCOL } from "../auth.ts";
import { clientOfSocket } from "../client-of-request.ts";
import type { FrontContext } from "../context.ts";
import { checkEnvironment } from "../environments.ts";
import { unwrap } from "../problem-response.ts";
import { readQuery } from "../request-body.ts";
import { addRoute, ClientHeader, type FrontApp, problems, SessionQuery } from "../route.ts";
import { callerOf, openStub } from "../session-stub.ts";
import { openInTurn } from "../upgrade-turns.ts";

const SocketQuery = SessionQuery.extend({
  environment: EnvironmentName.optional().meta({ description: "Makes the session with it.", example: "default" }),
  region: RegionName.optional().meta({ description: "Makes the session with it.", example: "eu-west" }),
});

/** True for a request that asks to become a WebSocket. */
function isUpgrade(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

async function openSocket(context: FrontContext): Promise<Response> {
  const request = context.req.raw;
  if (!isUpgrade(request)) {
    throw new ProblemError(
      { code: "upgrade_required", detail: "Open this address as a WebSocket." },
      { upgrade: "websocket" },
    );
  }
  const grant = context.get("grant");
  const clientId = clientOfSocket(request, grant);
  const { session = DEFAULT_SESSION, environment, region } = readQuery(request, SocketQuery);
  const tenant = context.get("tenant");
  const { object, newStub } = await openStub(context, clientId);
  if (environment !== undefined || region !== undefined) {
    if (grant.isReadOnly) {
      throw new ProblemError({ code: "forbidden", detail: "The token does not allow making a session." });
    }
    await checkEnvironment(context.env, environment);
    const made = {
      ...(environment === undefined ? {} : { environment }),
      ...(region === undefined ? {} : { region }),
    };
    unwrap(await newStub().putSession(callerOf(context, clientId), session, made));
  }
  // Nothing of the client's own headers goes on: no token, and no header that the object trusts.
  const headers = new Headers({
    upgrade: "websocket",
    [SOCKET_HEADERS.tenant]: encodeURIComponent(tenant),
    [SOCKET_HEADERS.clientId]: clientId,
    [SOCKET_HEADERS.session]: session,
    [SOCKET_HEADERS.requestId]: context.get("requestId"),
    [SOCKET_HEADERS.grant]: JSON.stringify(grant),
  });
  const traceparent = context.get("traceparent");
  if (traceparent !== undefined) headers.set(SOCKET_HEADERS.traceparent, traceparent);
  if (offeredSubprotocols(request).includes(SUBPROTOCOL)) headers.set(SOCKET_HEADERS.subprotocol, SUBPROTOCOL);
  const { MAX_SOCKETS_PER_CLIENT: max } = context.get("settings");
  const answer = await openInTurn(context.env, object, max, () =>
    newStub().fetch(new Request("https://session/socket", { headers })),
  );
  const { webSocket } = answer;
  if (webSocket === null) throw new ProblemError(await answer.json<ProblemInit>());
  const answerHeaders = new Headers({ "client-id": clientId, "x-request-id": context.get("requestId") });
  const selected = answer.headers.get("sec-websocket-protocol");
  if (selected !== null) answerHeaders.set("sec-websocket-protocol", selected);
  return new Response(null, { status: 101, webSocket, headers: answerHeaders });
}

/** Adds the WebSocket to the app. */
export function addSocketRoute(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "get",
      path: "/ws/v1/session",
      operationId: "openSocket",
      summary: "Open a WebSocket on a session",
      description:
        "The messages are described in docs/protocol.md. Browsers, which cannot set headers here, offer the subprotocols `pyrepl.v1` and `pyrepl.bearer.<JWT>`. Without a client id the server makes one; it is in the answer's `client-id` header.",
      tags: ["WebSocket"],
      request: {
        headers: ClientHeader.partial(),
        query: SocketQuery.extend({
          client_id: z.string().optional().meta({ description: "Who calls; wins over the header.", example: "ada" }),
        }),
      },
      responses: {
        101: { description: "The socket is open" },
        ...problems(
          "invalid_request",
          "client_id_invalid",
          "unauthorized",
          "origin_not_allowed",
          "upgrade_required",
          "environment_conflict",
          "rate_limited",
          "session_limit",
          "internal",
        ),
      },
    },
    openSocket,
  );
}
