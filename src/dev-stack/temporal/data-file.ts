import { closeSync, existsSync, mkdirSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareVersions } from 'compare-versions';
import { ManagerError } from '../../contracts/errors.js';
import type { Program } from '../find-program.js';
import { corruptStateFolder } from '../state/json-file.js';
import { readVersions, saveVersion } from '../state/versions.js';

export const temporalDataFile = (stateDir: string): string => join(stateDir, 'temporal', 'temporal.sqlite');

/** Exists from before the first start until it has succeeded. */
const firstStartMarker = (stateDir: string): string => join(stateDir, 'temporal', 'first-start');

const isSqliteFile = (file: string): boolean => {
  const head = Buffer.alloc(16);
  const handle = openSync(file, 'r');
  const length = readSync(handle, head, 0, head.length, 0);
  closeSync(handle);
  return length === head.length && head.toString('latin1') === 'SQLite format 3\0';
};

/**
 * Checks that this CLI may open the state folder's Temporal data.
 * @throws ManagerError incompatible_service when a newer server wrote the data, state_folder_corrupt when the file is not ours.
 */
export const checkTemporalData = (stateDir: string, cli: Program): void => {
  const file = temporalDataFile(stateDir);
  const writer = readVersions(stateDir).temporalServer;
  if (writer === undefined && (existsSync(firstStartMarker(stateDir)) || !existsSync(file))) return;
  if (!existsSync(file)) {
    throw corruptStateFolder(stateDir, `${file} is missing, though Temporal ${writer} was started on it before`);
  }
  if (writer === undefined || !isSqliteFile(file)) {
    throw corruptStateFolder(stateDir, `${file} is not a SQLite file that this manager wrote`);
  }
  if (compareVersions(cli.version, writer) >= 0) return;
  throw new ManagerError(
    'incompatible_service',
    `The data in ${file} was written by Temporal server ${writer}, and ${cli.path} contains the older ${cli.version}. ` +
      `Use a Temporal CLI with server ${writer} or later (TEMPORAL_CLI_PATH), or another state folder with CLUSTER_MANAGER_HOME. Nothing was changed.`,
  );
};

/**
 * Prepares the folder for the next start. A server that is killed during its first start leaves a file without all tables,
 * which no later start can open and which holds no data: it is deleted.
 */
export const prepareTemporalData = (stateDir: string): void => {
  const folder = join(stateDir, 'temporal');
  if (readVersions(stateDir).temporalServer === undefined && existsSync(firstStartMarker(stateDir))) {
    rmSync(folder, { recursive: true, force: true });
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(temporalDataFile(stateDir))) writeFileSync(firstStartMarker(stateDir), '', { mode: 0o600 });
};

/** Records that the server has started: from now on the file is data to protect. */
export const confirmTemporalData = (stateDir: string, cli: Program): void => {
  saveVersion(stateDir, { temporalServer: cli.version });
  rmSync(firstStartMarker(stateDir), { force: true });
};
