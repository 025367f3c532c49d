import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { corruptStateFolder } from '../state/json-file.js';
import type { PostgresBinaries } from './programs.js';
import { runCommand } from '../run-command.js';
import type { CommandOptions } from '../run-command.js';
import type { Secrets } from '../state/secrets.js';
import { serverUser } from './server-user.js';
import { reporterFor } from '../report.js';
import type { Report } from '../report.js';
import { readVersions, stampVersion } from '../state/versions.js';

/** The three databases; each belongs to the role of the same name, which can connect to no other. */
export const databaseNames = ['clusters_db', 'communication_db', 'resources_db'] as const;

export const postgresDataFolder = (stateDir: string): string => join(stateDir, 'postgres');

/**
 * How PostgreSQL is told its data folder. As root it runs as another user, to whom the way to the folder (/root, say) may
 * be closed: it then gets the folder itself, open as descriptor 3, and needs no right on the folders above.
 */
export const dataFolderArgument = (dataFolder: string): string =>
  serverUser() !== undefined && process.platform === 'linux' ? '/proc/self/fd/3' : dataFolder;

/** A clean environment: the caller's PGDATA, PGPORT or locale must not reach our own server. */
export const postgresEnvironment = (): Record<string, string | undefined> => ({
  PATH: process.env['PATH'],
  LC_ALL: 'C',
  TZ: 'UTC',
});

/**
 * The major version that wrote the state folder's data, undefined when there is none yet.
 * @throws ManagerError state_folder_corrupt when the folder is not a whole data folder of ours.
 */
export const dataMajorVersion = (stateDir: string): number | undefined => {
  const folder = postgresDataFolder(stateDir);
  const stamp = readVersions(stateDir).postgres;
  if (!existsSync(folder)) {
    if (stamp === undefined) return undefined;
    throw corruptStateFolder(stateDir, `${folder} is gone, though version ${stamp} was started on it before`);
  }
  const versionFile = join(folder, 'PG_VERSION');
  if (!existsSync(versionFile) || !existsSync(join(folder, 'global', 'pg_control'))) {
    throw corruptStateFolder(stateDir, `${folder} exists and is not a PostgreSQL data folder`);
  }
  const major = Number.parseInt(readFileSync(versionFile, 'utf8'), 10);
  if (stamp === undefined || !Number.isInteger(major) || Number.parseInt(stamp, 10) !== major) {
    throw corruptStateFolder(
      stateDir,
      `${versionFile} says ${JSON.stringify(readFileSync(versionFile, 'utf8').trim())}, versions.json says ${stamp ?? 'nothing'}`,
    );
  }
  return major;
};

/** The refusal when only programs of another major version are here. */
export const majorVersionMismatch = (stateDir: string, major: number): ManagerError =>
  new ManagerError(
    'incompatible_service',
    `The data in ${postgresDataFolder(stateDir)} was written by PostgreSQL ${major}, and no programs of version ${major} were found. ` +
      `Install PostgreSQL ${major} (or name its programs with POSTGRES_BIN_DIR), or use another state folder with CLUSTER_MANAGER_HOME. Nothing was changed.`,
  );

// No single quote can occur: passwords are base64url.
const bootstrapSql = (secrets: Secrets): readonly string[] => [
  `ALTER ROLE postgres PASSWORD '${secrets.postgres.postgres}'`,
  ...databaseNames.flatMap((name) => [
    `CREATE ROLE ${name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '${secrets.postgres[name]}'`,
    `ALTER ROLE ${name} SET statement_timeout = '60s'`,
    `ALTER ROLE ${name} SET idle_in_transaction_session_timeout = '60s'`,
    `CREATE DATABASE ${name} OWNER ${name}`,
    `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
  ]),
  'REVOKE ALL ON DATABASE postgres FROM PUBLIC',
  'REVOKE ALL ON DATABASE template1 FROM PUBLIC',
];

const hostRules = [
  '# Written by the cluster manager. Loopback only; every login needs its password.',
  'host all all 127.0.0.1/32 scram-sha-256',
  '',
].join('\n');

/**
 * Makes the data folder with its roles and databases, unless it is there already. It is built beside and moved into place
 * when whole, so a crash half-way leaves nothing that looks like data.
 */
export const ensurePostgresData = async (options: {
  readonly stateDir: string;
  readonly binaries: PostgresBinaries;
  readonly secrets: Secrets;
  readonly durable: boolean;
  readonly report: Report | undefined;
}): Promise<void> => {
  const { stateDir, binaries, secrets, durable } = options;
  const folder = postgresDataFolder(stateDir);
  if (existsSync(folder)) return;
  reporterFor('postgres', options.report)('making the databases');
  const draft = `${folder}.new`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { mode: 0o700 });
  chmodSync(draft, 0o700);
  const user = serverUser();
  if (user) chownSync(draft, user.uid, user.gid);
  const command: CommandOptions = {
    cwd: '/',
    env: postgresEnvironment(),
    folder: draft,
    timeoutMs: 120_000,
    ...(user ? { uid: user.uid, gid: user.gid } : {}),
  };
  const data = dataFolderArgument(draft);
  await mustSucceed(
    join(binaries.folder, 'initdb'),
    // trust lasts only until the rules below replace it, before the first server listens.
    ['-D', data, '-U', 'postgres', '--encoding=UTF8', '--locale=C', '--auth=trust', '--data-checksums', '--no-sync'],
    command,
  );
  writeFileSync(join(draft, 'pg_hba.conf'), hostRules);
  const settings = [
    'exit_on_error=on',
    'log_min_error_statement=panic',
    'password_encryption=scram-sha-256',
    'fsync=off',
  ];
  // Passwords travel on standard input: an argument could be read by every user of the machine.
  await mustSucceed(
    join(binaries.folder, 'postgres'),
    ['--single', '-D', data, ...settings.flatMap((setting) => ['-c', setting]), 'postgres'],
    { ...command, input: `${bootstrapSql(secrets).join('\n')}\n` },
  );
  if (durable) await syncToDisk(draft, join(binaries.folder, 'initdb'), ['--sync-only', '-D', data], command);
  renameSync(draft, folder);
  stampVersion(stateDir, { postgres: binaries.version });
};

/** One sync of the file system where the machine can do that, else one for each of a thousand files. */
const syncToDisk = async (
  folder: string,
  initdb: string,
  args: readonly string[],
  command: CommandOptions,
): Promise<void> => {
  const whole = await runCommand('sync', ['-f', folder]).catch(() => undefined);
  if (whole?.code !== 0) await mustSucceed(initdb, args, command);
};

const mustSucceed = async (command: string, args: readonly string[], options: CommandOptions): Promise<void> => {
  const result = await runCommand(command, args, options).catch((error: unknown) => {
    throw new ManagerError(
      'service_unavailable',
      `${command} could not be run: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  });
  if (result.code === 0) return;
  const tail = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-6).join('\n');
  throw new ManagerError('service_unavailable', `${command} failed with exit code ${result.code}:\n${tail}`);
};
