/** Owns a root file system made by the steps of the runner's Dockerfile, and entering it as a container engine would by default. */
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, realpathSync, symlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { runStep } from "../../../scripts/run-step.ts";
import { inDefaultProfile } from "../../support/default-profile.ts";
import { type Dockerfile, readDockerfile, type Step } from "./dockerfile.ts";

const REPOSITORY = resolve(import.meta.dirname, "../../..");
const SUITE = "bookworm";
const MIRROR = "http://deb.debian.org/debian";
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Of the user `node` in the image that the Dockerfile begins with. */
const USER_ID = 1000;
const AUTHORITIES = "/etc/authorities.pem";

/**
 * Mounts what an engine mounts in a container, then goes into the root: a /proc of its own with Docker's masks, a read-only /sys, a small
 * /dev. $1 is the root, $2 a folder of the repository's tests to show at /app, or empty.
 */
const ENTER = `
set -e
root=$1; tests=$2; shift 2
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o nosuid,mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/\${number%:*}" "$root/dev/\${number#*:}"; done
mkdir "$root/dev/shm"; mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root/dev/shm"
for file in kcore keys timer_list sched_debug latency_stats timer_stats; do
  if [ -e "$root/proc/$file" ]; then mount --bind /dev/null "$root/proc/$file"; fi
done
for folder in bus fs irq sys; do
  mount --bind "$root/proc/$folder" "$root/proc/$folder"; mount -o remount,bind,ro "$root/proc/$folder"
done
if [ -n "$tests" ]; then
  for folder in test scripts; do mkdir -p "$root/app/$folder"; mount --bind -o ro "$tests/$folder" "$root/app/$folder"; done
fi
exec chroot "$root" "$@"`;

export class ContainerRoot {
  readonly folder: string;
  readonly image: Dockerfile;

  private constructor(folder: string) {
    this.folder = folder;
    this.image = readDockerfile(join(REPOSITORY, "worker-runner/Dockerfile"));
  }

  /**
   * Makes the root in an empty folder: Debian by debootstrap, Node and its user as the Dockerfile's base image has them, then each step.
   *
   * @param base a root that debootstrap has made before; absent: it is made now.
   */
  static async build(folder: string, base: string | undefined, tell: (line: string) => void): Promise<ContainerRoot> {
    const root = new ContainerRoot(folder);
    if (base === undefined) await must("debootstrap", ["--variant=minbase", SUITE, folder, MIRROR]);
    else await must("cp", ["--archive", `${base}/.`, folder]);
    tell("the base is there");
    await root.#addNode();
    let at = "/";
    for (const step of root.image.steps) {
      const startedAt = performance.now();
      at = await root.#take(step, at);
      tell(`${describe(step)} (${((performance.now() - startedAt) / 1000).toFixed(0)} s)`);
    }
    return root;
  }

  /** Starts a command as the image's user, with the capabilities and system calls of Docker's default profile. */
  start(command: readonly string[], environment: Record<string, string>, { showTests = false } = {}): ChildProcess {
    const there = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', this.image.folder, ...command];
    const settings = { ...this.image.environment, ...environment, HOME: "/home/node", PATH };
    return this.#enter(inDefaultProfile(USER_ID, there), settings, showTests);
  }

  #enter(command: readonly string[], environment: Record<string, string>, showTests: boolean): ChildProcess {
    const apart = ["--mount", "--pid", "--fork", "--ipc", "--uts", "--propagation", "private", "--kill-child"];
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const inside = ["/usr/bin/env", "-i", ...variables, ...command];
    return spawn(
      "unshare",
      [...apart, "/bin/sh", "-c", ENTER, "sh", this.folder, showTests ? REPOSITORY : "", ...inside],
      {
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
  }

  /** What the image `node` adds to Debian. npm is the one that runs this program. */
  async #addNode(): Promise<void> {
    const local = join(this.folder, "usr/local");
    copyFileSync(process.execPath, join(local, "bin/node"));
    const { printed } = await must("sh", ["-c", "command -v npm"]);
    const npm = resolve(dirname(realpathSync(printed.trim())), "..");
    cpSync(npm, join(local, "lib/node_modules/npm"), { recursive: true });
    symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(local, "bin/npm"));
    // Some networks have an authority of their own, which Node is told of by this variable.
    const authorities = process.env.NODE_EXTRA_CA_CERTS;
    if (authorities !== undefined) copyFileSync(authorities, join(this.folder, AUTHORITIES));
    // The names of hosts are asked for as on this machine, as an engine arranges it.
    copyFileSync("/etc/resolv.conf", join(this.folder, "etc/resolv.conf"));
    const { user } = this.image;
    await this.#runAsRoot(
      `groupadd --gid ${USER_ID} ${user} && useradd --uid ${USER_ID} --gid ${user} --create-home ${user}`,
      "/",
    );
  }

  /** @returns the folder in which the next step runs. */
  async #take(step: Step, at: string): Promise<string> {
    switch (step.word) {
      case "RUN":
        await this.#runAsRoot(step.script, at);
        return at;
      case "COPY":
        for (const from of step.from) {
          const to = join(this.folder, at, step.to, step.from.length > 1 ? from : "");
          mkdirSync(dirname(to), { recursive: true });
          cpSync(join(REPOSITORY, from), to, { recursive: true, filter: (path) => !path.includes("__pycache__") });
        }
        return at;
      case "WORKDIR":
        mkdirSync(join(this.folder, step.folder), { recursive: true });
        return step.folder;
      default:
        return step satisfies never;
    }
  }

  get #trust(): Record<string, string> {
    return existsSync(join(this.folder, AUTHORITIES)) ? { NODE_EXTRA_CA_CERTS: AUTHORITIES } : {};
  }

  async #runAsRoot(script: string, at: string): Promise<void> {
    const child = this.#enter(
      ["/bin/sh", "-c", 'cd "$0" && eval "$1"', at, script],
      { ...this.image.environment, DEBIAN_FRONTEND: "noninteractive", HOME: "/root", PATH, ...this.#trust },
      false,
    );
    const said: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (piece: Buffer) => said.push(piece));
    const code = await endOf(child);
    if (code !== 0) throw new Error(`${script}\nended with ${code}:\n${Buffer.concat(said).toString().slice(-4000)}`);
  }
}

/** Resolves with the exit code. */
export function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code));
  });
}

function describe(step: Step): string {
  switch (step.word) {
    case "RUN":
      return `RUN ${step.script.replace(/\s+/g, " ").slice(0, 70)}`;
    case "COPY":
      return `COPY ${step.from.join(" ")}`;
    case "WORKDIR":
      return `WORKDIR ${step.folder}`;
    default:
      return step satisfies never;
  }
}

async function must(command: string, args: readonly string[]): Promise<{ printed: string }> {
  if (command === "debootstrap" && !existsSync("/usr/sbin/debootstrap")) {
    throw new Error("debootstrap is missing: apt-get install debootstrap");
  }
  const step = await runStep(command, args);
  if (step.exitCode !== 0) throw new Error(`${command} ended with ${step.exitCode}:\n${step.printed.slice(-4000)}`);
  return step;
}
