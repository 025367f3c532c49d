import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { readJsonFile, writeJsonFile } from './json-file.js';

/** What the launcher makes up once a state folder: kept in a file of mode 0600, passed on by environment only. */
export interface Secrets {
  readonly postgres: {
    readonly postgres: string;
    readonly clusters_db: string;
    readonly communication_db: string;
    readonly resources_db: string;
  };
  readonly adminToken: string;
  readonly enrolmentToken: string;
}

const random256 = (): string => randomBytes(32).toString('base64url');

const isSecrets = (value: object): value is Secrets => {
  const { postgres, adminToken, enrolmentToken } = value as Partial<Secrets>;
  const passwords = [postgres?.postgres, postgres?.clusters_db, postgres?.communication_db, postgres?.resources_db];
  return [...passwords, adminToken, enrolmentToken].every((word) => typeof word === 'string' && word.length > 20);
};

/** The folder's secrets, made on first use. @throws ManagerError state_folder_corrupt. */
export const loadSecrets = (stateDir: string): Secrets => {
  const path = join(stateDir, 'secrets.json');
  const known = readJsonFile<Secrets>(path, isSecrets);
  if (known) return known;
  const fresh: Secrets = {
    postgres: {
      postgres: random256(),
      clusters_db: random256(),
      communication_db: random256(),
      resources_db: random256(),
    },
    adminToken: `cmt_${random256()}`,
    enrolmentToken: `cmt_${random256()}`,
  };
  writeJsonFile(path, fresh);
  return fresh;
};
