import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { corruptStateFolder } from './json-file.js';

/**
 * Creates the state folder when it is missing and closes it to other users.
 * @throws ManagerError state_folder_corrupt when the path is taken by something else or cannot be written.
 */
export const openStateFolder = (stateDir: string): void => {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    if (!statSync(stateDir).isDirectory()) throw new Error('not a folder');
    chmodSync(stateDir, 0o700);
    mkdirSync(join(stateDir, 'logs'), { recursive: true, mode: 0o700 });
  } catch (error) {
    if (error instanceof ManagerError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw corruptStateFolder(stateDir, `${stateDir} cannot be used as a folder of this user (${reason})`, error);
  }
};
