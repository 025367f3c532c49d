import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { corruptStateFolder } from '../state/json-file.js';
import { readVersions } from '../state/versions.js';
import { serverUser } from './server-user.js';

export const postgresDataFolder = (stateDir: string): string => join(stateDir, 'postgres');

/**
 * How a PostgreSQL program is given its data folder. Started as root, the program runs as another user, who may have no
 * access to the folders above it, such as /root: it receives the folder open as file descriptor 3 instead.
 */
export const dataFolderArgument = (dataFolder: string): string =>
  serverUser() !== undefined && process.platform === 'linux' ? '/proc/self/fd/3' : dataFolder;

/** Nothing but what the server needs: the caller's PGDATA, PGPORT or locale must not reach it. */
export const postgresEnvironment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' });

/**
 * The major version that wrote the state folder's data, undefined when there is none yet.
 * @throws ManagerError state_folder_corrupt when the folder is not a complete data folder of this manager.
 */
export const dataMajorVersion = (stateDir: string): number | undefined => {
  const folder = postgresDataFolder(stateDir);
  const writer = readVersions(stateDir).postgres;
  if (!existsSync(folder)) {
    if (writer === undefined) return undefined;
    throw corruptStateFolder(stateDir, `${folder} is missing, though PostgreSQL ${writer} was started on it before`);
  }
  const versionFile = join(folder, 'PG_VERSION');
  if (!existsSync(versionFile) || !existsSync(join(folder, 'global', 'pg_control'))) {
    throw corruptStateFolder(stateDir, `${folder} exists and is not a PostgreSQL data folder`);
  }
  const text = readFileSync(versionFile, 'utf8').trim();
  const major = Number.parseInt(text, 10);
  if (writer !== undefined && Number.parseInt(writer, 10) === major) return major;
  throw corruptStateFolder(
    stateDir,
    `${versionFile} contains ${JSON.stringify(text)}, versions.json ${writer ?? 'nothing'}`,
  );
};

/** The refusal when this machine has only programs of another major version than the data's. */
export const majorVersionMismatch = (stateDir: string, major: number): ManagerError =>
  new ManagerError(
    'incompatible_service',
    `The data in ${postgresDataFolder(stateDir)} was written by PostgreSQL ${major}, and no programs of version ${major} were found. ` +
      `Install PostgreSQL ${major} (or set POSTGRES_BIN_DIR to its programs), or use another state folder with CLUSTER_MANAGER_HOME. Nothing was changed.`,
  );
