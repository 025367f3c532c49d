import { join } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { claimFile, releaseFile } from '../processes/pid-lock.js';

const ownerFile = (stateDir: string): string => join(stateDir, 'owner.json');

/**
 * Makes this process the only manager of a state folder.
 * @returns a function that gives it up.
 * @throws ManagerError state_folder_busy, naming the live owner's pid.
 */
export const lockStateFolder = (stateDir: string): (() => void) => {
  const path = ownerFile(stateDir);
  const holder = claimFile(path);
  if (holder) {
    throw new ManagerError(
      'state_folder_busy',
      `The state folder ${stateDir} is in use by the manager with pid ${holder.pid}, started ${holder.startedAt}. ` +
        `Stop it first (kill -TERM ${holder.pid}), or give this one another folder with CLUSTER_MANAGER_HOME.`,
    );
  }
  return () => releaseFile(path);
};
