import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { ManagerError } from '../../contracts/errors.js';

/** Whether an error of node:fs has one of these codes. */
export const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code));

/** Writes a file that only this user can read, completely or not at all: a reader or a crash never sees half of it. */
export const writeJsonFile = (path: string, value: unknown): void => {
  const draft = `${path}.${process.pid}.draft`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
};

/**
 * Reads one of the state folder's files.
 * @returns undefined when the file does not exist.
 * @throws ManagerError state_folder_corrupt when it cannot be read, is not JSON or does not fit the schema.
 */
export const readJsonFile = <Value>(path: string, schema: z.ZodType<Value>): Value | undefined => {
  const corrupt = (what: string, cause: unknown): ManagerError =>
    corruptStateFolder(dirname(path), `${path} ${what}`, cause);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw corrupt('cannot be read', error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw corrupt('is not JSON', error);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw corrupt('does not have the expected fields', parsed.error);
  return parsed.data;
};

/** The refusal of a state folder that this program did not write, or that is damaged. */
export const corruptStateFolder = (folder: string, seen: string, cause?: unknown): ManagerError =>
  new ManagerError(
    'state_folder_corrupt',
    `${seen}. Nothing was changed. Restore the state folder ${folder} from a copy, or move it away ` +
      `(mv ${folder} ${folder}.old) to start with an empty one.`,
    { cause },
  );
