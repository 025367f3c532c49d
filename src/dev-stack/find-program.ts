import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ManagerError } from '../contracts/errors.js';

/** One way that was tried to find or make a program, and why it did not do. */
export interface Attempt {
  readonly way: string;
  readonly reason: string;
}

export const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return existsSync(path);
  } catch {
    return false;
  }
};

/** Why a path cannot be run, for `Attempt.reason`. */
export const notRunnable = (path: string): string =>
  existsSync(path) ? `${path} may not be executed` : `${path} is not there`;

/** The first program of this name on PATH. */
export const findOnPath = (name: string, searchPath: string | undefined): string | undefined =>
  (searchPath ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isExecutable);

/** -1, 0 or 1, comparing dotted numbers field by field: 1.9 is older than 1.29. */
export const compareVersions = (left: string, right: string): number => {
  const [a, b] = [left, right].map((text) => text.split('.').map(Number));
  for (let field = 0; field < Math.max(a?.length ?? 0, b?.length ?? 0); field++) {
    const difference = (a?.[field] || 0) - (b?.[field] || 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
};

/** The refusal when no way of getting a program worked: each way, its reason, then what to do. */
export const noUsableProgram = (part: string, attempts: readonly Attempt[], advice: string): ManagerError =>
  new ManagerError(
    'service_unavailable',
    [
      `No usable ${part} was found. Tried, in order:`,
      ...attempts.map(({ way, reason }) => `  - ${way}: ${reason}`),
      advice,
    ].join('\n'),
  );
