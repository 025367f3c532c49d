import { closeSync, openSync, readSync, renameSync, statSync } from 'node:fs';

/** A log larger than this is renamed at the next start; one older log is kept. */
const rotateAboveBytes = 16 * 1024 * 1024;
const largestReadBytes = 1024 * 1024;

export const logSize = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

export const rotateLargeLog = (path: string): void => {
  if (logSize(path) > rotateAboveBytes) renameSync(path, `${path}.1`);
};

/** The last lines that were written after `offset`. */
export const logTail = (path: string, offset: number, lines: number): string => {
  const end = logSize(path);
  const start = Math.max(offset, end - largestReadBytes);
  if (end <= start) return '';
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(end - start);
    const text = buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.length, start));
    return text.trimEnd().split('\n').slice(-lines).join('\n');
  } finally {
    closeSync(file);
  }
};
