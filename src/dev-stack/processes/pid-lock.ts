import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hasCode } from '../state/json-file.js';
import { identityOf, isRunning } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

export interface Claim extends ProcessIdentity {
  readonly startedAt: string;
}

const parseClaim = (text: string): Claim | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, startTime, startedAt } = value as Partial<Claim>;
    if (typeof pid !== 'number' || typeof startTime !== 'string') return undefined;
    return { pid, startTime, startedAt: typeof startedAt === 'string' ? startedAt : 'unknown' };
  } catch {
    return undefined;
  }
};

const readText = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
};

/**
 * Takes the file at `path` for this process until `releaseFile`. A claim whose process has ended counts as free.
 * @returns undefined when taken, else the live holder.
 */
export const claimFile = (path: string): Claim | undefined => {
  const self = identityOf(process.pid);
  if (!self) throw new Error(`This process ${process.pid} cannot be found in the system's process table.`);
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  // Written beside and then linked, because a file created in place could be read before it is filled.
  writeFileSync(draft, `${JSON.stringify({ ...self, startedAt: new Date().toISOString() })}\n`, { mode: 0o600 });
  try {
    for (;;) {
      try {
        linkSync(draft, path);
        return undefined;
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error;
      }
      const seen = readText(path);
      if (seen === undefined) continue;
      const holder = parseClaim(seen);
      if (holder && isRunning(holder)) return holder;
      discardStale(path, seen);
    }
  } finally {
    rmSync(draft, { force: true });
  }
};

/** Removes a dead holder's claim; if another process renewed it meanwhile, that one gets its claim back. */
const discardStale = (path: string, seen: string): void => {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
    if (readText(aside) !== seen) linkSync(aside, path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EEXIST')) throw error;
  }
  rmSync(aside, { force: true });
};

/** Gives the claim up, if it is this process's own. */
export const releaseFile = (path: string): void => {
  const holder = parseClaim(readText(path) ?? '');
  if (holder?.pid === process.pid && isRunning(holder)) rmSync(path, { force: true });
};
