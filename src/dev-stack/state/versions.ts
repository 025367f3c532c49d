import { join } from 'node:path';
import { z } from 'zod';
import { readJsonFile, writeJsonFile } from './json-file.js';

const version = z.string().regex(/^\d+(\.\d+)*$/);

const versionsSchema = z.object({ postgres: version.optional(), temporalServer: version.optional() });

/** Which versions last wrote the state folder's data. */
export type Versions = z.output<typeof versionsSchema>;

const versionsFile = (stateDir: string): string => join(stateDir, 'versions.json');

export const readVersions = (stateDir: string): Versions => readJsonFile(versionsFile(stateDir), versionsSchema) ?? {};

export const saveVersion = (stateDir: string, written: Versions): void =>
  writeJsonFile(versionsFile(stateDir), { ...readVersions(stateDir), ...written });
