import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ManagerError, messageOf } from '../../contracts/errors.js';
import type { Program } from '../find-program.js';
import type { Launch } from '../launch.js';
import { logFor } from '../report.js';
import { runCommand } from '../run-command.js';
import { databaseNames, type Secrets } from '../state/secrets.js';
import { saveVersion } from '../state/versions.js';
import { dataFolderArgument, postgresDataFolder, postgresEnvironment } from './data-folder.js';
import { serverUser } from './server-user.js';

// The passwords are base64url: they contain no single quote.
const bootstrapSql = ({ postgres: passwords }: Secrets): readonly string[] => [
  `ALTER ROLE postgres PASSWORD '${passwords.postgres}'`,
  ...databaseNames.flatMap((name) => [
    `CREATE ROLE ${name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '${passwords[name]}'`,
    `ALTER ROLE ${name} SET statement_timeout = '60s'`,
    `ALTER ROLE ${name} SET idle_in_transaction_session_timeout = '60s'`,
    `CREATE DATABASE ${name} OWNER ${name}`,
    `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
  ]),
  'REVOKE ALL ON DATABASE postgres FROM PUBLIC',
  'REVOKE ALL ON DATABASE template1 FROM PUBLIC',
];

const hostRules = `# Written by the cluster manager. Loopback only; every connection needs a password.
host all all 127.0.0.1/32 scram-sha-256
`;

const bootstrapSettings = [
  'exit_on_error=on',
  'log_min_error_statement=panic',
  'password_encryption=scram-sha-256',
  'fsync=off',
];

/** Runs a PostgreSQL program as the server's user on a data folder, which it receives open as file descriptor 3. */
const runOn = async (folder: string, command: string, args: readonly string[], input = ''): Promise<void> => {
  const descriptor = openSync(folder, 'r');
  try {
    await runCommand(command, args, {
      cwd: '/',
      env: postgresEnvironment(),
      // The types allow the literals 3 to 9 only.
      stdio: ['pipe', 'pipe', 'pipe', descriptor as 3],
      timeout: 120_000,
      input,
      ...serverUser(),
    });
  } catch (error) {
    throw new ManagerError('service_unavailable', `PostgreSQL's data folder cannot be created: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    closeSync(descriptor);
  }
};

/**
 * Creates the data folder with its roles and databases when it does not exist. It is built under another name and renamed
 * when it is complete: a crash leaves nothing that looks like data.
 */
export const createDataFolder = async ({ secrets, options }: Launch, programs: Program): Promise<void> => {
  const { stateDir, durable = true, report } = options;
  const folder = postgresDataFolder(stateDir);
  if (existsSync(folder)) return;
  logFor('postgres', report)('creating the databases');
  const draft = `${folder}.new`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  chmodSync(draft, 0o700);
  const user = serverUser();
  if (user) chownSync(draft, user.uid, user.gid);
  const data = dataFolderArgument(draft);
  const initdb = join(programs.path, 'initdb');
  // "trust" is replaced below, before the server listens for the first time.
  const layout = ['-U', 'postgres', '--encoding=UTF8', '--locale=C', '--auth=trust', '--data-checksums', '--no-sync'];
  await runOn(draft, initdb, ['-D', data, ...layout]);
  writeFileSync(join(draft, 'pg_hba.conf'), hostRules);
  // The passwords are passed on standard input: every user of the machine could read an argument.
  const settings = bootstrapSettings.flatMap((setting) => ['-c', setting]);
  const sql = `${bootstrapSql(secrets).join('\n')}\n`;
  await runOn(draft, join(programs.path, 'postgres'), ['--single', '-D', data, ...settings, 'postgres'], sql);
  // One sync of the file system where the machine has that command, else one for each of a thousand files.
  const syncEachFile = (): Promise<void> => runOn(draft, initdb, ['--sync-only', '-D', data]);
  if (durable) await runCommand('sync', ['-f', draft]).catch(syncEachFile);
  renameSync(draft, folder);
  saveVersion(stateDir, { postgres: programs.version });
};
