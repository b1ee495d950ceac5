/** What an execution changed in the workspace, as its ending tells it, with a real interpreter. */
import { expect, it } from "vitest";
import { failure, result, startSession } from "../borrowed-session.ts";

it("tells what an execution changed, and nothing unless asked", async () => {
  const session = await startSession();
  const asked = { report_files: true };
  expect(await result(session, "1", asked)).toMatchObject({ files: [], files_truncated: false });
  const code = "import os\nos.mkdir('d')\nopen('d/new', 'w').write('123')\nopen('kept', 'w').write('x')\n1";
  expect((await result(session, code, asked)).files).toEqual([
    { path: "d/new", change: "created", size: 3 },
    { path: "kept", change: "created", size: 1 },
  ]);
  const change = "open('d/new', 'w').write('321')\nos.remove('kept')\nopen('other', 'w').close()\n1 / 0";
  expect(await failure(session, change, asked)).toMatchObject({
    files: [
      { path: "d/new", change: "modified", size: 3 },
      { path: "kept", change: "deleted", size: 0 },
      { path: "other", change: "created", size: 0 },
    ],
    files_truncated: false,
  });
  expect((await result(session, "open('silent', 'w').close()")).files).toBeUndefined();
  const many = await result(session, "for i in range(201): open(f'n{i:03}', 'w').close()", asked);
  expect([many.files?.length, many.files_truncated]).toEqual([200, true]);
});

it("tells it also after code that was interrupted or died, and of what a rollback leaves", async () => {
  const session = await startSession();
  const asked = { report_files: true };
  const loop = "open('loop', 'w').close()\nwhile True: pass";
  expect(await failure(session, loop, { ...asked, timeout: 0.5 })).toMatchObject({
    reason: "timeout",
    files: [{ path: "loop", change: "created", size: 0 }],
  });
  const death = "import os, signal\nopen('death', 'w').close()\nos.kill(os.getpid(), signal.SIGKILL)";
  expect(await failure(session, death, asked)).toMatchObject({
    reason: "process_died",
    files: [{ path: "death", change: "created", size: 0 }],
  });
  const rolled = { ...asked, transaction_policy: "rollback_always" as const };
  expect((await result(session, "open('rolled', 'w').close()", rolled)).files).toMatchObject([{ path: "rolled" }]);
});
