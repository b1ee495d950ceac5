/** Owns the body that asks for packages (protocol, section 12); the answer is an execution like any other. */
import { z } from "zod";
import { SessionName } from "./identity.ts";

/** One requirement as pip reads it; an option or a line end in it is refused. */
export const Requirement = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^[^\s-][^\r\n\0]*$/, "must be one requirement, and no option");

export const PackagesBody = z.object({
  requirements: z.array(Requirement).min(1).max(100),
  session: SessionName.optional(),
});
