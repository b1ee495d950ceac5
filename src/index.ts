/** The Worker's entry: the front and the three Durable Object classes. */
import { buildApp } from "./front/app.ts";

export { Fleet } from "./fleet/fleet.ts";
export { ClientSession } from "./object/client-session.ts";
export { TenantLedger } from "./tenant/tenant-ledger.ts";

export default buildApp();
