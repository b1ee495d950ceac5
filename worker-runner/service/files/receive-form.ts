/** Owns reading a form of files (`multipart/form-data`) as it comes in: each file goes to the process that stages it. */
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { Busboy, type BusboyHeaders } from "@fastify/busboy";
import { DeadlinePassed } from "../../deadline.ts";
import type { FileProcess } from "../../interpreter/file-process.ts";
import { sendBody } from "./receive-file.ts";

const FILE_PART = "file";
const SILENCE_MS = 120_000;
const LIMITS = { fields: 16, fieldSize: 8_192, headerPairs: 16 };

/** The form is not as the contract says. */
export class FormRefused extends Error {
  override readonly name = "FormRefused";
}

/** The parts that are no files. */
export type FormFields = Map<string, string>;

/**
 * Stages every file of a form.
 *
 * @param folder where the files will go, as far as that is known before the form is read.
 * @returns the other fields of the form.
 * @throws FormRefused, FileRefused, DeadlinePassed, or what the process can throw. The rest of the body is not read then.
 */
export async function receiveForm(
  process: FileProcess,
  body: IncomingMessage,
  folder: string | null,
): Promise<FormFields> {
  const fields: FormFields = new Map();
  let files = 0;
  let staging = Promise.resolve();
  const { promise: over, resolve: succeed, reject: fail } = Promise.withResolvers<void>();
  const parser = parserFor(body);
  const silence = setTimeout(() => fail(new DeadlinePassed("the form stopped coming")), SILENCE_MS);
  const noteProgress = () => silence.refresh();
  parser.on("field", (name, value) => fields.set(name, value));
  parser.on("file", (name, content, fileName) => {
    // A part that nobody reads any more ends in an error that nobody waits for.
    content.on("error", () => undefined);
    files += 1;
    staging = staging.then(() => stage(process, { name, content, fileName, folder }));
    staging.catch(fail);
  });
  parser.once("error", (error) => fail(new FormRefused((error as Error).message)));
  parser.once("finish", () => succeed());
  body.once("error", fail);
  body.on("data", noteProgress);
  body.pipe(parser);
  try {
    await over;
    await staging;
  } finally {
    clearTimeout(silence);
    body.unpipe(parser);
    body.off("data", noteProgress);
    body.off("error", fail);
  }
  if (files === 0) throw new FormRefused("The form has no part named file.");
  return fields;
}

function parserFor(body: IncomingMessage) {
  try {
    const headers = body.headers as BusboyHeaders;
    return new Busboy({
      headers,
      preservePath: true,
      limits: LIMITS,
      isPartAFile: (name, _type, fileName) => fileName !== undefined || name === FILE_PART,
    });
  } catch {
    throw new FormRefused("The body is no multipart/form-data.");
  }
}

async function stage(
  process: FileProcess,
  part: { name: string; content: Readable; fileName: string | undefined; folder: string | null },
): Promise<void> {
  if (part.name !== FILE_PART) throw new FormRefused("A file is in a part of another name than file.");
  if (!part.fileName) throw new FormRefused("A file has no name.");
  process.send({ type: "write_file", path: part.fileName, folder: part.folder });
  await sendBody(process, part.content);
  await process.expect("staged");
}
