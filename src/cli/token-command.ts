/** Owns `pyrepl3 token`: it makes a bearer token for development from the secret that the service has. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { SignJWT } from "jose";
import { GRANT_CLAIM, GrantClaim } from "../grant.ts";

interface Options {
  secret?: string;
  subject: string;
  lifetime: string;
  issuer?: string;
  audience?: string;
  claim: Record<string, string>;
  onlyClient?: string[];
  onlySessions?: number;
  readOnly?: boolean;
  onlyRate?: number;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("It must be a number above 0.");
  return value;
}

/** The claim that narrows what the token allows; none if nothing narrows. */
function grantClaim({ onlyClient, onlySessions, readOnly, onlyRate }: Options): Record<string, object> {
  const grant = {
    ...(onlyClient === undefined ? {} : { client_id: onlyClient }),
    ...(onlySessions === undefined ? {} : { sessions: onlySessions }),
    ...(readOnly === true ? { read_only: true } : {}),
    ...(onlyRate === undefined ? {} : { rate: onlyRate }),
  };
  if (Object.keys(grant).length === 0) return {};
  const parsed = GrantClaim.safeParse(grant);
  if (!parsed.success) throw new InvalidArgumentError(parsed.error.issues[0]?.message ?? "It is not valid.");
  return { [GRANT_CLAIM]: parsed.data };
}

function addClaim(value: string, claims: Record<string, string>): Record<string, string> {
  const [, name, content] = /^([^=]+)=(.*)$/s.exec(value) ?? [];
  if (name === undefined || content === undefined) throw new InvalidArgumentError("It must be NAME=VALUE.");
  return { ...claims, [name]: content };
}

export function addTokenCommand(program: Command): void {
  const command = program
    .command("token")
    .description("make a token for development, signed with JWT_SECRET")
    .addOption(new Option("--secret <secret>", "the service's secret").env("JWT_SECRET"))
    .requiredOption("--subject <tenant>", "the tenant, claim sub")
    .option("--lifetime <time>", "how long it counts, such as 30m, 1h or 7d", "1h")
    .addOption(new Option("--issuer <issuer>", "claim iss").env("JWT_ISSUER"))
    .addOption(new Option("--audience <audience>", "claim aud").env("JWT_AUDIENCE"))
    .option("--claim <name=value>", "one more claim; may be given again", addClaim, {})
    .option("--only-client <pattern...>", "client ids that it may use; * stands for any characters")
    .option("--only-sessions <count>", "named sessions of one client", positive)
    .option("--only-rate <count>", "messages and calls a second", positive)
    .option("--read-only", "only calls that change nothing");
  command.action(async (options: Options) => {
    const { secret, subject, lifetime, issuer, audience, claim } = options;
    if (secret === undefined || secret === "") command.error("error: JWT_SECRET is not set, and --secret is not given");
    let token = new SignJWT({ ...claim, ...grantClaim(options) })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(subject)
      .setIssuedAt();
    if (issuer !== undefined) token = token.setIssuer(issuer);
    if (audience !== undefined) token = token.setAudience(audience);
    try {
      token.setExpirationTime(lifetime);
    } catch {
      command.error(`error: --lifetime ${lifetime} is no time such as 30m, 1h or 7d`);
    }
    console.log(await token.sign(new TextEncoder().encode(secret)));
  });
}
