/** Owns the exports of `pyrepl3/protocol`: a schema for each message, event and problem on the wire. */
export { ClientMessage } from "./client-message.ts";
export { ExecutionEvent } from "./event.ts";
export { PROBLEMS, Problem, type ProblemCode } from "./problem.ts";
export { ServerMessage } from "./server-message.ts";
