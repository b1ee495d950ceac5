/** The program that `npm start` runs. */
import { runService } from "./run-service.ts";

process.exit(await runService(process.env));
