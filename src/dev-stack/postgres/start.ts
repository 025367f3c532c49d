import { ManagerError } from '../../contracts/errors.js';
import { ensurePostgres } from './ensure.js';
import { checkDatabases, externalDatabases } from '../external-services.js';
import { corruptStateFolder } from '../state/json-file.js';
import type { Launch } from '../launch.js';
import { ensurePostgresData, majorVersionMismatch, postgresDataFolder, dataMajorVersion } from './data-folder.js';
import { postgresProcess } from './server.js';
import type { PostgresBinaries } from './programs.js';
import { reserveStackPort, retryOnPortConflict } from '../ports/stack-ports.js';
import { stampVersion } from '../state/versions.js';

interface Databases {
  readonly env: Readonly<Record<string, string>>;
  /** The superuser of a server that is managed here. */
  readonly adminUrl?: string;
}

/**
 * Looks at what the three databases need, and changes nothing yet.
 * @returns how to start them: those that the environment names, else a server under the state folder.
 */
export const prepareDatabases = async (launch: Launch): Promise<() => Promise<Databases>> => {
  const { stateDir, report } = launch.options;
  const external = externalDatabases(launch.environment);
  if (external) {
    await checkDatabases(external);
    return async () => ({ env: external });
  }
  const major = dataMajorVersion(stateDir);
  const binaries = await ensurePostgres(launch.environment, report, major).catch((error: unknown) => {
    const missing = major !== undefined && error instanceof ManagerError && error.code === 'service_unavailable';
    throw missing ? majorVersionMismatch(stateDir, major) : error;
  });
  if (!binaries) throw new ManagerError('internal', 'No databases are named, and no PostgreSQL was found for them.');
  return () => startPostgres(launch, binaries);
};

const startPostgres = async (launch: Launch, binaries: PostgresBinaries): Promise<Databases> => {
  const { stateDir, durable = true } = launch.options;
  await ensurePostgresData({ stateDir, binaries, secrets: launch.secrets, durable, report: launch.options.report });
  const port = await retryOnPortConflict(async () => {
    const chosen = await reserveStackPort(launch, 'postgres');
    await launch.start(postgresProcess({ stateDir, binaries, port: chosen, durable })).catch((error: unknown) => {
      throw damaged(stateDir, error);
    });
    return chosen;
  });
  stampVersion(stateDir, { postgres: binaries.version });
  const passwords = launch.secrets.postgres;
  const url = (user: keyof typeof passwords): string =>
    `postgres://${user}:${passwords[user]}@127.0.0.1:${port}/${user}`;
  return {
    env: {
      CLUSTERS_DATABASE_URL: url('clusters_db'),
      COMMUNICATION_DATABASE_URL: url('communication_db'),
      RESOURCES_DATABASE_URL: url('resources_db'),
    },
    adminUrl: url('postgres'),
  };
};

/** PostgreSQL names damage in its log; a person needs to hear of the folder and the way out. */
const damaged = (stateDir: string, error: unknown): unknown => {
  const signs =
    /could not locate a valid checkpoint|invalid (primary )?checkpoint|control file|incorrect checksum|PANIC|could not open (file|directory)|syntax error in file|invalid data in/i;
  return error instanceof ManagerError && signs.test(error.message)
    ? corruptStateFolder(
        stateDir,
        `PostgreSQL cannot open its data in ${postgresDataFolder(stateDir)}: ${error.message}`,
        error,
      )
    : error;
};
