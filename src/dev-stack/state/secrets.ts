import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { readJsonFile, writeJsonFile } from './json-file.js';

const secret = z.string().min(21);

const secretsSchema = z.object({
  /** The password of each role. */
  postgres: z.object({ postgres: secret, clusters_db: secret, communication_db: secret, resources_db: secret }),
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
  const secrets: Secrets = {
    postgres: {
      postgres: random256(),
      clusters_db: random256(),
      communication_db: random256(),
      resources_db: random256(),
    },
    adminToken: `cmt_${random256()}`,
    enrolmentToken: `cmt_${random256()}`,
  };
  writeJsonFile(path, secrets);
  return secrets;
};
