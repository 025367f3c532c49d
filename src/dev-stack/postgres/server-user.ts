import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { hasCode } from '../state/json-file.js';

/** Another user of this machine, by number. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root: for root, the existing user to run it as, `postgres` or else `nobody`.
 * @returns undefined when this process does not run as root.
 */
export const serverUser = (): ServerUser | undefined => {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', '_postgres', 'nobody']) {
    const [, , uid, gid] = users.find(([user, , id]) => user === name && Number(id) > 0) ?? [];
    if (uid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new ManagerError(
    'service_unavailable',
    'PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody. Run as an ordinary user, or set DATABASE_URL to a server elsewhere.',
  );
};

/** Whether the user may pass through every folder of the path that exists. */
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
