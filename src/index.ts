/** The Worker's entry: the front and the two Durable Object classes. */
import { buildApp } from "./app.ts";

export { ClientSession } from "./client-session.ts";
export { Fleet } from "./fleet.ts";

export default buildApp();
