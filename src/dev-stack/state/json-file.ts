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

/** @returns the text of a file, undefined when it does not exist. */
export const readIfExists = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
};

/**
 * Reads one of the state folder's files.
 * @returns undefined when the file does not exist.
 * @throws ManagerError state_folder_corrupt when it cannot be read, is not JSON or does not fit the schema.
 */
export const readJsonFile = <Value>(path: string, schema: z.ZodType<Value>): Value | undefined => {
  let failure = 'cannot be read';
  try {
    const text = readIfExists(path);
    if (text === undefined) return undefined;
    failure = 'is not JSON';
    const value: unknown = JSON.parse(text);
    failure = 'does not have the expected fields';
    return schema.parse(value);
  } catch (error) {
    throw corruptStateFolder(dirname(path), `${path} ${failure}`, error);
  }
};

/** The refusal of a state folder that this program did not write, or that is damaged. */
export const corruptStateFolder = (folder: string, seen: string, cause?: unknown): ManagerError =>
  new ManagerError(
    'state_folder_corrupt',
    `${seen}. Nothing was changed. Restore the state folder ${folder} from a copy, or move it away ` +
      `(mv ${folder} ${folder}.old) to start with an empty one.`,
    { cause },
  );
