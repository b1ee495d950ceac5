/** Owns how a client's WebSocket is opened: from the headers that the front sends to the `101` answer. */
import { FULL_GRANT, type Grant } from "../../grant.ts";
import { edgeMetrics } from "../../metrics.ts";
import { type ClientId, DEFAULT_SESSION, type SessionName } from "../../protocol/identity.ts";
import { SOCKET_HEADERS } from "../../session-calls.ts";
import { ClientSocket } from "./client-socket.ts";

/** A caller of the WebSocket endpoint. The front has checked who it is. */
export interface SocketCaller {
  tenant: string;
  clientId: ClientId;
  session: SessionName;
  requestId: string;
  traceparent: string | undefined;
  grant: Grant;
  subprotocol: string;
}

export function readSocketCaller({ headers }: Request): SocketCaller {
  const header = (name: keyof typeof SOCKET_HEADERS) => headers.get(SOCKET_HEADERS[name]) ?? "";
  return {
    tenant: decodeURIComponent(header("tenant")),
    clientId: header("clientId") as ClientId,
    session: (header("session") || DEFAULT_SESSION) as SessionName,
    requestId: header("requestId"),
    traceparent: header("traceparent") || undefined,
    grant: header("grant") === "" ? FULL_GRANT : (JSON.parse(header("grant")) as Grant),
    subprotocol: header("subprotocol"),
  };
}

/** Accepts a socket that may hibernate. @param cursor the client sees the events after this seq. */
export function acceptSocket(
  ctx: DurableObjectState,
  caller: SocketCaller,
  cursor: number,
): { client: WebSocket; socket: ClientSocket } {
  const { 0: client, 1: server } = new WebSocketPair();
  ctx.acceptWebSocket(server);
  const { subprotocol: _, ...who } = caller;
  const socket = ClientSocket.accept(server, { ...who, cursor });
  edgeMetrics.sockets.add();
  return { client, socket };
}

/** The answer that makes a client's request a socket. */
export function switchToSocket(client: WebSocket, { clientId, subprotocol }: SocketCaller): Response {
  return new Response(null, {
    status: 101,
    webSocket: client,
    headers: { "client-id": clientId, ...(subprotocol === "" ? {} : { "sec-websocket-protocol": subprotocol }) },
  });
}
