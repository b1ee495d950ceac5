/** Owns the REST call that asks for packages. This service has no package index, so the call is refused. */
import { ProblemError } from "../../problem.ts";
import { PackagesBody } from "../../protocol/package.ts";
import { readBody } from "../request-body.ts";
import { addRoute, ClientHeader, COMMON_PROBLEMS, type FrontApp, jsonBody, problems } from "../route.ts";
import { maxBodyBytes } from "../session-stub.ts";

/** Adds the call to the app. */
export function addPackageRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "post",
      path: "/api/v1/packages",
      operationId: "installPackages",
      summary: "Install packages into a session; refused, since this service has no package index",
      tags: ["Sessions"],
      request: { headers: ClientHeader, body: jsonBody(PackagesBody, { requirements: ["six==1.17.0"] }) },
      responses: problems(...COMMON_PROBLEMS, "packages_disabled"),
    },
    async (context) => {
      await readBody(context.req.raw, PackagesBody, maxBodyBytes(context));
      throw new ProblemError({ code: "packages_disabled", detail: "Installing packages is disabled on this service." });
    },
  );
}
