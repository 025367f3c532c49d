import { ManagerError } from '../../contracts/errors.js';
import { checkDatabases, externalDatabases } from '../external-services.js';
import type { Program } from '../find-program.js';
import type { Launch } from '../launch.js';
import { reserveStackPort, retryOnPortConflict } from '../ports.js';
import { corruptStateFolder } from '../state/json-file.js';
import { saveVersion } from '../state/versions.js';
import { createDataFolder } from './create-data-folder.js';
import { dataMajorVersion, majorVersionMismatch, postgresDataFolder } from './data-folder.js';
import { ensurePostgres } from './programs.js';
import { postgresProcess } from './server.js';

interface Databases {
  readonly env: Readonly<Record<string, string>>;
  /** The superuser of the stack's own server. */
  readonly adminUrl?: string;
}

/**
 * Finds and checks what the three databases need, without changing the state folder.
 * @returns a function that starts them: those that the environment names, else a server of the stack's own.
 */
export const prepareDatabases = async (launch: Launch): Promise<() => Promise<Databases>> => {
  const { stateDir, report } = launch.options;
  const external = externalDatabases(launch.environment);
  if (external) {
    await checkDatabases(external);
    return async () => ({ env: external });
  }
  const major = dataMajorVersion(stateDir);
  const programs = await ensurePostgres(launch.environment, report, major).catch((error: unknown) => {
    const isMissing = error instanceof ManagerError && error.code === 'service_unavailable';
    throw major !== undefined && isMissing ? majorVersionMismatch(stateDir, major) : error;
  });
  return () => startPostgres(launch, programs);
};

const startPostgres = async (launch: Launch, programs: Program): Promise<Databases> => {
  const { secrets, options } = launch;
  const { stateDir } = options;
  await createDataFolder(launch, programs);
  const port = await retryOnPortConflict(async () => {
    const reserved = await reserveStackPort(launch, 'postgres');
    await launch.start(postgresProcess(launch, programs, reserved)).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      const seen = `PostgreSQL cannot open its data in ${postgresDataFolder(stateDir)}: ${error.message}`;
      throw corruptStateFolder(stateDir, seen, error);
    });
    return reserved;
  });
  saveVersion(stateDir, { postgres: programs.version });
  const url = (user: keyof typeof secrets.postgres): string =>
    `postgres://${user}:${secrets.postgres[user]}@127.0.0.1:${port}/${user}`;
  return {
    env: {
      CLUSTERS_DATABASE_URL: url('clusters_db'),
      COMMUNICATION_DATABASE_URL: url('communication_db'),
      RESOURCES_DATABASE_URL: url('resources_db'),
    },
    adminUrl: url('postgres'),
  };
};

/** Whether a failed start, whose message has the end of PostgreSQL's log, is due to damaged data. */
const isDamage = (error: unknown): error is ManagerError =>
  error instanceof ManagerError &&
  /could not locate a valid checkpoint|invalid (primary )?checkpoint|control file|incorrect checksum|PANIC|could not open (file|directory)|syntax error in file|invalid data in/i.test(
    error.message,
  );
