// `npm run test:python`: the Python tests alone.
import { runPythonTests } from "./python-tests.ts";

const { passed, failed, skipped } = await runPythonTests();
console.log(`Python: ${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
