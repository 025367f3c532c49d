import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { hasCode } from '../state/json-file.js';

/** Another user of this machine, by number. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root. As root, this is the existing user to run it as: `postgres`, else `nobody`.
 * @returns undefined when we are not root.
 */
export const serverUser = (): ServerUser | undefined => {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
  const found = ['postgres', '_postgres', 'nobody']
    .map((name) => users.find((user) => user.name === name && user.uid > 0))
    .find(Boolean);
  if (found) return found;
  throw new ManagerError(
    'service_unavailable',
    'PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody. Run as an ordinary user, or set DATABASE_URL to a server elsewhere.',
  );
};

/** Whether the user may pass through every folder on the way; parts that do not exist yet are not in the way. */
export const canUserReach = (path: string, user: ServerUser): boolean => {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    try {
      const { mode, uid, gid } = statSync(folder);
      const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
      if ((mode & bit) === 0) return false;
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) return false;
    }
    if (folder === dirname(folder)) return true;
  }
};
