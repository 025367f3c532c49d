import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';

/** Whether an error thrown by node:fs carries this code. */
export const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code));

/** Writes readable by this user alone, whole or not at all: a reader or a crash never sees half a file. */
export const writeJsonFile = (path: string, value: unknown): void => {
  const draft = `${path}.${process.pid}.draft`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
};

/**
 * Reads one of the state folder's files.
 * @returns undefined when there is no such file.
 * @throws ManagerError state_folder_corrupt when it is there and is not a JSON object that `accepts`.
 */
export const readJsonFile = <Shape>(
  path: string,
  accepts: (value: object) => value is object & Shape,
): Shape | undefined => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw corruptStateFolder(dirname(path), `${path} cannot be read`, error);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && accepts(value)) return value;
  } catch (error) {
    throw corruptStateFolder(dirname(path), `${path} is not JSON`, error);
  }
  throw corruptStateFolder(dirname(path), `${path} does not have the expected fields`);
};

/** The refusal for a state folder that this program did not write, or that was damaged. */
export const corruptStateFolder = (folder: string, seen: string, cause?: unknown): ManagerError =>
  new ManagerError(
    'state_folder_corrupt',
    `${seen}. Nothing was changed. Restore the state folder ${folder} from a copy, or move it away ` +
      `(mv ${folder} ${folder}.old) to begin with an empty one.`,
    { cause },
  );
