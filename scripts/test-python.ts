// `npm run test:python`: the Python tests alone.
import { endTestRun } from "./end-test-run.ts";
import { runPythonTests } from "./python-tests.ts";

process.exitCode = endTestRun(await runPythonTests());
