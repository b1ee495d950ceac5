/** Owns `pyrepl3 token`: it makes a bearer token for development from the secret that the service has. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { SignJWT } from "jose";

interface Options {
  secret?: string;
  subject: string;
  lifetime: string;
  issuer?: string;
  audience?: string;
  claim: Record<string, string>;
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
    .option("--claim <name=value>", "one more claim; may be given again", addClaim, {});
  command.action(async ({ secret, subject, lifetime, issuer, audience, claim }: Options) => {
    if (secret === undefined || secret === "") command.error("error: JWT_SECRET is not set, and --secret is not given");
    let token = new SignJWT(claim).setProtectedHeader({ alg: "HS256" }).setSubject(subject).setIssuedAt();
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
