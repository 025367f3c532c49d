import { closeSync, openSync, readSync, renameSync, statSync } from 'node:fs';

/** A log larger than this is set aside at the next start; one older log is kept. */
const largestBytes = 16 * 1024 * 1024;
const largestReadBytes = 1024 * 1024;

export const logSize = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

export const setLargeLogAside = (path: string): void => {
  if (logSize(path) > largestBytes) renameSync(path, `${path}.1`);
};

/** What was written since `offset`, at most its first mebibyte. */
export const readLogFrom = (path: string, offset: number): string => {
  const length = Math.min(logSize(path) - offset, largestReadBytes);
  if (length <= 0) return '';
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(length);
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, length, offset));
  } finally {
    closeSync(file);
  }
};
