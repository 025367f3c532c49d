import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Log } from '../report.js';
import { hasCode, readIfExists } from '../state/json-file.js';
import { identityOf, isRunning, processIdentity } from './process-identity.js';

const lockHolder = z.object({ ...processIdentity.shape, startedAt: z.string().catch('unknown') });

export type LockHolder = z.output<typeof lockHolder>;

const parseHolder = (text: string | undefined): LockHolder | undefined => {
  try {
    return lockHolder.parse(JSON.parse(text ?? ''));
  } catch {
    return undefined;
  }
};

/**
 * Takes the lock file at `path` for this process, until `releasePidLock`. The lock of a process that has ended is free.
 * @returns undefined when the lock was taken, else the process that holds it.
 */
export const acquirePidLock = (path: string): LockHolder | undefined => {
  const self = identityOf(process.pid);
  if (!self) throw new Error(`Process ${process.pid} is not in the system's process table.`);
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  // Written under another name and then linked: a file created in place could be read before it is complete.
  writeFileSync(draft, `${JSON.stringify({ ...self, startedAt: new Date().toISOString() })}\n`, { mode: 0o600 });
  try {
    for (;;) {
      try {
        linkSync(draft, path);
        return undefined;
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error;
      }
      const seen = readIfExists(path);
      if (seen === undefined) continue;
      const holder = parseHolder(seen);
      if (holder && isRunning(holder)) return holder;
      removeStaleLock(path, seen);
    }
  } finally {
    rmSync(draft, { force: true });
  }
};

/** Removes the lock of a process that has ended. Another process that took it in the meantime gets it back. */
const removeStaleLock = (path: string, seen: string): void => {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
    if (readIfExists(aside) !== seen) linkSync(aside, path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EEXIST')) throw error;
  }
  rmSync(aside, { force: true });
};

/** Gives the lock up if this process holds it. */
export const releasePidLock = (path: string): void => {
  const holder = parseHolder(readIfExists(path));
  if (holder?.pid === process.pid && isRunning(holder)) rmSync(path, { force: true });
};

/** Waits for the lock, runs `work` and gives the lock up. */
export const withPidLock = async <Result>(path: string, work: () => Promise<Result>, log: Log): Promise<Result> => {
  mkdirSync(dirname(path), { recursive: true });
  let loggedPid = 0;
  for (let holder = acquirePidLock(path); holder; holder = acquirePidLock(path)) {
    if (holder.pid !== loggedPid) log(`waiting for process ${holder.pid}, which holds ${path}`);
    loggedPid = holder.pid;
    await delay(500);
  }
  try {
    return await work();
  } finally {
    releasePidLock(path);
  }
};
