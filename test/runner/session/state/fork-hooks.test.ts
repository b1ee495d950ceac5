/** Owns the proof that functions which code registers with `os.register_at_fork` neither end a session nor cost it its state. */
import { describe, expect, it } from "vitest";
import { failure, result, run, startSession } from "../../borrowed-session.ts";

const places = ["before", "after_in_parent", "after_in_child"];
const actions: [name: string, code: string][] = [
  ["sleeps for ever", "while True: time.sleep(1000)"],
  ["swallows every interrupt", "while True:\n    try:\n      while True: pass\n    except BaseException: pass"],
  ["raises", "raise RuntimeError('from the hook')"],
  ["ends its process", "os._exit(7)"],
  ["forks", "if not forks: forks.append(os.fork())"],
];

describe.each(places)("a function that code registers for %s", (place) => {
  it.each(actions)("and that %s costs a session neither state nor time", async (_name, action) => {
    const session = await startSession();
    await result(
      session,
      `import os, time\nforks = []\ndef hook():\n  ${action}\nos.register_at_fork(${place}=hook)\nx = [1]`,
    );
    expect(await failure(session, "x.append(2)\nos._exit(9)", { timeout: 20 })).toMatchObject({
      reason: "process_died",
      exception_message: expect.stringContaining("code 9"),
      state: "recovered",
    });
    expect((await result(session, "x")).value).toEqual([1]);
    expect(await failure(session, "x.append(3)\n1 / 0", { transaction_policy: "rollback_on_failure" })).toMatchObject({
      exception_type: "ZeroDivisionError",
      state: "rolled_back",
    });
    expect((await result(session, "x")).value).toEqual([1]);
  });
});

it("runs them when code itself forks, and shows them if they raise", async () => {
  const session = await startSession();
  const { stderr } = await run(
    session,
    `
import os, time
seen = []
def tell(): seen.append('before'); raise RuntimeError('from the hook')
os.register_at_fork(before=tell, after_in_child=lambda: seen.append('child'), after_in_parent=lambda: seen.append('parent'))
reading, writing = os.pipe()
if os.fork() == 0:
  os.write(writing, repr(seen).encode())
  os._exit(0)
os.wait()`,
  );
  expect(stderr).toMatch(/<function tell at 0x[\s\S]*RuntimeError: from the hook/);
  expect((await result(session, "seen, os.read(reading, 100).decode()")).value).toEqual([
    ["before", "parent"],
    "['before', 'child']",
  ]);
});

it("runs those of an installed package in copies too, because they mend what a fork breaks", async () => {
  const session = await startSession();
  await result(
    session,
    `
import os, site, sys
os.makedirs(site.getusersitepackages(), exist_ok=True)
with open(site.getusersitepackages() + '/mending.py', 'w') as file:
  file.write("import os\\nmended = []\\nos.register_at_fork(after_in_child=lambda: mended.append(1))\\n")
if site.getusersitepackages() not in sys.path: sys.path.append(site.getusersitepackages())
import mending`,
  );
  expect((await result(session, "mending.mended")).value).toEqual([]);
  expect(await failure(session, "os._exit(9)")).toMatchObject({ state: "recovered" });
  expect((await result(session, "len(mending.mended) > 0")).value).toBe(true);
});

// 5 s: a copy that is woken has so long to answer.
it("tells a death as a death if the copy hangs in a function that the runner cannot know of", async () => {
  const session = await startSession();
  const hang = "def hang():\n  while True: time.sleep(1000)";
  await result(session, `import os, posix, time\n${hang}\nposix.register_at_fork(after_in_child=hang)\nx = 1`);
  // The copy holds the connection of the process that has ended. This must not look as if code still ran.
  expect(await failure(session, "print('last words')\nos._exit(9)", { timeout: 5 })).toMatchObject({
    reason: "process_died",
    exception_message: expect.stringContaining("code 9"),
    state: "fresh",
  });
  expect((await result(session, "'x' in globals()")).value).toBe(false);
});
