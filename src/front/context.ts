/** Owns the context of a request in the front: bindings, settings, request id, tenant and grant. */
import type { Context } from "hono";
import type { Bindings, Settings } from "../env.ts";
import type { Grant } from "../grant.ts";

export interface FrontEnv {
  Bindings: Bindings;
  Variables: {
    requestId: string;
    settings: Settings;
    /** The trace to which the request belongs, passed on to later calls; absent: none. */
    traceparent: string | undefined;
    /** Set once the caller is authenticated. */
    tenant: string;
    /** What its token allows. */
    grant: Grant;
  };
}

export type FrontContext = Context<FrontEnv>;
