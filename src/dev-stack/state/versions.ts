import { join } from 'node:path';
import { readJsonFile, writeJsonFile } from './json-file.js';

/** Which versions last wrote the state folder's data. */
export interface Versions {
  readonly postgres?: string;
  readonly temporalServer?: string;
}

const versionsFile = (stateDir: string): string => join(stateDir, 'versions.json');

const isVersions = (value: object): value is Versions =>
  Object.values(value).every((version) => typeof version === 'string' && /^\d+(\.\d+)*$/.test(version));

export const readVersions = (stateDir: string): Versions =>
  readJsonFile<Versions>(versionsFile(stateDir), isVersions) ?? {};

export const stampVersion = (stateDir: string, version: Versions): void =>
  writeJsonFile(versionsFile(stateDir), { ...readVersions(stateDir), ...version });
