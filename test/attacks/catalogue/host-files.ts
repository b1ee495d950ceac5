/** Owns the attempts to reach the host's files and secrets. */
import assert from "node:assert/strict";
import { sharesUser, underLandlock } from "../grade.ts";
import { printedBy } from "../outcome.ts";
import type { Attack } from "./attack.ts";
import { TRY_EACH } from "./attempt.ts";

/** A variable of the runner's that no session may see. */
export const SECRET = "attack-suite-secret";

export const fileEscapes: readonly Attack[] = [
  {
    name: "the interpreter's program, its library and the system are read-only for the next process",
    code: `${TRY_EACH}
import os, sys, site
places = [*sys.path, *site.getsitepackages(), sys.prefix, os.path.dirname(sys.executable), "/opt/pyrepl/python", "/etc",
    "/usr", "/usr/bin", "/usr/lib", "/bin", "/run", "/run/pyrepl", "/", "/dev", "/proc", "/home", "/opt"]
home = os.path.expanduser("~") + "/"
found = [place for place in places if place and os.path.isdir(place) and place != os.getcwd() and not place.startswith(home)]
print(len(found) > 10, {attempt(open, os.path.join(place, "planted.py"), "w") for place in found})
print({attempt(open, path, "r+b") for path in (sys.executable, "/etc/passwd", "/opt/pyrepl/python/__main__.py")})
print({attempt(os.chmod, path, 0o777) for path in (sys.executable, "/etc/passwd", "/run/pyrepl", "/")})
print(attempt(os.rename, "/opt/pyrepl", "/opt/mine"), attempt(os.unlink, "/run/pyrepl/channel.sock"))`,
    contained([outcome]) {
      assert.match(printedBy(outcome), /^True /);
      assert.doesNotMatch(printedBy(outcome), /done/);
    },
    lesser: [
      {
        applies: (grade) => underLandlock(grade) && sharesUser(grade),
        because: "changes of a file's mode, owner and times seem to succeed and do nothing",
        code: `${TRY_EACH}
import os, sys, site
places = [*sys.path, *site.getsitepackages(), sys.prefix, "/etc", "/usr", "/usr/bin", "/usr/lib", "/bin", "/run", "/", "/dev", "/proc", "/home", "/tmp"]
found = [place for place in places if place and os.path.isdir(place) and not place.startswith((os.getcwd(), os.environ["HOME"]))]
print(len(found) > 10, {attempt(open, os.path.join(place, "planted.py"), "w") for place in found})
print({attempt(open, path, "r+b") for path in (sys.executable, "/etc/passwd")})
def modes(): return [(s.st_mode, s.st_uid, s.st_mtime) for s in map(os.stat, (sys.executable, "/etc/passwd", "/", os.path.expanduser("~")))]
before = modes()
for path in (sys.executable, "/etc/passwd", "/", os.path.expanduser("~")):
    attempt(os.chmod, path, 0o777), attempt(os.chown, path, 0, 0), attempt(os.utime, path, (0, 0)), attempt(os.setxattr, path, "user.planted", b"1")
print(before == modes())`,
        contained([outcome]) {
          assert.match(printedBy(outcome), /^True [\s\S]*\nTrue\n$/);
          assert.doesNotMatch(printedBy(outcome), /done/);
        },
      },
    ],
  },
  {
    name: "nothing of the host is there but the system that Python needs",
    code: `
import os
print(sorted(os.listdir("/")))
print(sorted(os.listdir("/home")), sorted(os.listdir("/etc")), os.listdir("/run"), os.path.exists("/root/.ssh"))
print([os.path.exists(path) for path in ("/etc/shadow", "/var", "/srv", "/mnt", "/boot", "/sys", "/.dockerenv")])
print(os.uname().nodename, open("/etc/hosts").read().count("\\n"))`,
    contained([outcome]) {
      const [top, below, missing, name] = printedBy(outcome).split("\n");
      const allowed = [
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib32",
        "lib64",
        "opt",
        "proc",
        "run",
        "sbin",
        "tmp",
        "usr",
      ];
      const listed = JSON.parse((top ?? "[]").replaceAll("'", '"')) as string[];
      assert.deepEqual(
        listed.filter((entry) => ![...allowed, "root", "workspace"].includes(entry)),
        [],
      );
      assert.match(below ?? "", /^\['python'\] .* \['pyrepl'\] False$/);
      assert.equal(missing, `[${Array(7).fill("False").join(", ")}]`);
      assert.equal(name, "sandbox 2");
    },
    lesser: [
      {
        applies: underLandlock,
        because:
          "names, sizes and owners of the host's files can be looked up by path; no folder of them can be listed, no file opened",
        code: `${TRY_EACH}
import os
print({attempt(os.listdir, path) for path in ("/", "/home", "/etc", "/run", "/root", "/var", "/srv", "/boot", "/sys", "/var/lib", "/var/log", "/dev/shm/..")})
print({attempt(lambda: open(path, "rb").read(1)) for path in ("/etc/shadow", "/etc/passwd", "/etc/hosts", "/etc/hostname", "/root/.bashrc", "/var/log/dpkg.log", "/etc/machine-id")})
print({attempt(os.mkdir, os.path.join(place, "planted")) for place in ("/", "/var/tmp", "/home", "/run", "/dev", "/proc", "/etc")})`,
        contained([outcome]) {
          assert.doesNotMatch(printedBy(outcome), /done/);
        },
      },
    ],
  },
  {
    name: "no secret of the runner's is in any environment",
    code: `
import os, subprocess
seen = subprocess.run("env; cat /proc/*/environ 2>/dev/null; cat /proc/*/cmdline", shell=True, capture_output=True).stdout
print(${JSON.stringify(SECRET)} in str(dict(os.environ)), ${JSON.stringify(SECRET)}.encode() in seen)
print(sorted(os.environ))`,
    contained([outcome]) {
      const [found, names] = printedBy(outcome).split("\n");
      assert.equal(found, "False False");
      assert.doesNotMatch(names ?? "", /TOKEN|KEY|SECRET|NODE|npm|RUNNER/);
    },
  },
  {
    name: "no descriptor is inherited but the session's own pipes and sockets",
    code: `
import os
kinds = set()
for name in os.listdir("/proc/self/fd"):
    try:
        kinds.add(os.readlink(f"/proc/self/fd/{name}").split(":")[0])
    except OSError:
        pass
print(sorted(kinds))`,
    contained([outcome]) {
      const kinds = JSON.parse(printedBy(outcome).replaceAll("'", '"')) as string[];
      assert.deepEqual(
        kinds.filter((kind) => !["/dev/null", "pipe", "socket", "anon_inode"].includes(kind)),
        [],
      );
    },
  },
  {
    name: "closing every descriptor costs the process and not the state",
    code: [
      "import os\nos.closerange(0, 4096)",
      "import os\nfor fd in range(3, 1024):\n    try: os.dup2(0, fd)\n    except OSError: pass",
    ],
    contained(outcomes) {
      assert.equal(outcomes.length, 2);
    },
  },
];
