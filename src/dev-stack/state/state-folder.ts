import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ManagerError, messageOf } from '../../contracts/errors.js';
import { acquirePidLock, releasePidLock } from '../processes/pid-lock.js';
import { corruptStateFolder } from './json-file.js';

/**
 * Creates the state folder when it is missing, and closes it to other users.
 * @throws ManagerError state_folder_corrupt when the path is not a folder or cannot be written.
 */
export const openStateFolder = (stateDir: string): void => {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    if (!statSync(stateDir).isDirectory()) throw new Error('not a folder');
    chmodSync(stateDir, 0o700);
    mkdirSync(join(stateDir, 'logs'), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw corruptStateFolder(stateDir, `${stateDir} cannot be used as a folder (${messageOf(error)})`, error);
  }
};

/**
 * Makes this process the only manager of a state folder.
 * @returns a function that unlocks the folder.
 * @throws ManagerError state_folder_busy, with the pid of the manager that runs on it.
 */
export const lockStateFolder = (stateDir: string): (() => void) => {
  const path = join(stateDir, 'owner.json');
  const holder = acquirePidLock(path);
  if (!holder) return () => releasePidLock(path);
  throw new ManagerError(
    'state_folder_busy',
    `The state folder ${stateDir} is in use by the manager with pid ${holder.pid}, started ${holder.startedAt}. ` +
      `Stop it first (kill -TERM ${holder.pid}), or choose another folder with CLUSTER_MANAGER_HOME.`,
  );
};
