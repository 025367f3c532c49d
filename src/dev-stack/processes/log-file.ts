import { createReadStream, renameSync, statSync } from 'node:fs';
import { text } from 'node:stream/consumers';

/** A log larger than this is renamed at the next start; one older log is kept. */
const rotateAboveBytes = 16 * 1024 * 1024;
const largestReadBytes = 1024 * 1024;

export const logSize = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

export const rotateLargeLog = (path: string): void => {
  if (logSize(path) > rotateAboveBytes) renameSync(path, `${path}.1`);
};

/** The last lines that were written after `offset`. */
export const logTail = async (path: string, offset: number, lines: number): Promise<string> => {
  const start = Math.max(offset, logSize(path) - largestReadBytes);
  return (await text(createReadStream(path, { start }))).trimEnd().split('\n').slice(-lines).join('\n');
};
