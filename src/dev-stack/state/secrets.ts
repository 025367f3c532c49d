import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { readJsonFile, writeJsonFile } from './json-file.js';

const secret = z.string().min(21);

/** Each database belongs to the role of the same name, which cannot connect to another one. */
export const databaseNames = ['clusters_db', 'communication_db', 'resources_db'] as const;
const roleNames = ['postgres', ...databaseNames] as const;

const secretsSchema = z.object({
  /** The password of each role. */
  postgres: z.record(z.enum(roleNames), secret),
  adminToken: secret,
  enrolmentToken: secret,
});

/** Generated once for a state folder, kept in a file of mode 0600 and passed to processes by their environment only. */
export type Secrets = Readonly<z.output<typeof secretsSchema>>;

const random256 = (): string => randomBytes(32).toString('base64url');

/** The state folder's secrets, generated on first use. @throws ManagerError state_folder_corrupt. */
export const loadSecrets = (stateDir: string): Secrets => {
  const path = join(stateDir, 'secrets.json');
  const existing = readJsonFile(path, secretsSchema);
  if (existing) return existing;
  const secrets = secretsSchema.parse({
    postgres: Object.fromEntries(roleNames.map((name) => [name, random256()])),
    adminToken: `cmt_${random256()}`,
    enrolmentToken: `cmt_${random256()}`,
  });
  writeJsonFile(path, secrets);
  return secrets;
};
