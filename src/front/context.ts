/** Owns the context of a request in the front: bindings, settings, request id and tenant. */
import type { Context } from "hono";
import type { Bindings, Settings } from "../env.ts";

export interface FrontEnv {
  Bindings: Bindings;
  Variables: {
    requestId: string;
    settings: Settings;
    /** Set once the caller is authenticated. */
    tenant: string;
  };
}

export type FrontContext = Context<FrontEnv>;
