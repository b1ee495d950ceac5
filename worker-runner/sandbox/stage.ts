/** Owns the stage, a tmpfs in the launcher's own mount namespace from which bubblewrap mounts, and the shell lines that fill it. */
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { SandboxLimits } from "./sandbox-contract.ts";
import { quote } from "./shell.ts";

/** Files under /etc that name the one user, and no host. */
const ETC = {
  passwd: "python:x:1000:1000::/home/python:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
  group: "python:x:1000:\nnogroup:x:65534:\n",
  hosts: "127.0.0.1 localhost sandbox\n::1 localhost\n",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  "resolv.conf": "",
};

export const ETC_FILES = Object.keys(ETC);

/** Directories of the Filesystem Hierarchy Standard that every user may pass through, and that hold nothing a launcher needs. */
const MOUNT_POINTS = ["/mnt", "/media", "/srv", "/boot", "/opt"];

/** A directory to mount over that hides none of the paths. @throws Error if there is none. */
export function findMountPoint(hostPaths: readonly string[]): string {
  const hides = (point: string) => hostPaths.some((path) => path.startsWith(`${point}/`));
  const directory = MOUNT_POINTS.find((point) => existsSync(point) && !hides(point));
  if (!directory) {
    throw new Error(`The sandbox does not start: none of ${MOUNT_POINTS.join(", ")} is free to mount over`);
  }
  return directory;
}

/**
 * One tmpfs holds everything that user code can write, so that one size and one number of files bound them all. It is mounted
 * where no other process sees it and is gone with the last process of the sandbox.
 */
export class Stage {
  readonly #directory: string;
  readonly #uid: number | null;
  readonly #nameservers: readonly string[];
  readonly #sources: string[] = [];

  /**
   * @param hostPaths what `sourceOf` will be asked for; the stage is mounted where it hides none of it.
   * @param uid the session's user, if that is not the runner's own user. Sources below folders that this user may not pass
   *   through (a Python under /root) are then mounted on the stage as well.
   */
  constructor(hostPaths: readonly string[], uid: number | null, nameservers: readonly string[]) {
    this.#directory = findMountPoint(hostPaths);
    this.#uid = uid;
    this.#nameservers = nameservers;
  }

  get tmp(): string {
    return join(this.#directory, "tmp");
  }
  get home(): string {
    return join(this.#directory, "home");
  }
  get shm(): string {
    return join(this.#directory, "shm");
  }
  get workspace(): string {
    return join(this.#directory, "workspace");
  }
  get etc(): string {
    return join(this.#directory, "etc");
  }

  /** Where bubblewrap finds a file or directory of the host. */
  sourceOf(path: string): string {
    if (this.#uid === null || canAnyonePass(dirname(path))) return path;
    if (!this.#sources.includes(path)) this.#sources.push(path);
    return join(this.#directory, `source-${this.#sources.indexOf(path)}`);
  }

  /** Shell lines that mount and fill the stage; after every `sourceOf`. */
  script(limits: SandboxLimits): string[] {
    const size = `size=${limits.workspaceBytes},nr_inodes=${limits.workspaceFiles},mode=0755`;
    const sources = this.#sources.map((path, index) => {
      const isDirectory = statSync(path).isDirectory();
      return { path, isDirectory, at: quote(join(this.#directory, `source-${index}`)) };
    });
    const directories = sources.filter((source) => source.isDirectory).map((source) => source.at);
    const files = sources.filter((source) => !source.isDirectory).map((source) => source.at);
    const own = [this.tmp, this.home, this.shm, this.workspace].map(quote).join(" ");
    const owner = this.#uid === null ? "" : `--owner=${this.#uid} --group=${this.#uid}`;
    return [
      `mount -t tmpfs -o ${size},nosuid,nodev pyrepl ${quote(this.#directory)}`,
      `install --directory --mode=1777 ${owner} ${own}`,
      `mkdir ${[quote(this.etc), ...directories].join(" ")}`,
      ...Object.entries(this.#etc()).map(([name, text]) => `printf %s ${quote(text)} >${quote(join(this.etc, name))}`),
      ...files.map((file) => `: >${file}`),
      ...sources.map((source) => `mount --bind ${quote(source.path)} ${source.at}`),
    ];
  }

  #etc(): typeof ETC {
    return { ...ETC, "resolv.conf": this.#nameservers.map((address) => `nameserver ${address}\n`).join("") };
  }
}

/** Whether every user may pass through a folder and all those above it. */
export function canAnyonePass(folder: string): boolean {
  const isOpen = (statSync(folder).mode & 0o001) !== 0;
  return isOpen && (folder === "/" || canAnyonePass(dirname(folder)));
}
