import { ManagerError } from '../contracts/errors.js';
import { externalDatabases } from './external-services.js';
import { stateFolder } from './paths.js';
import { dataMajorVersion } from './postgres/data-folder.js';
import { ensurePostgres } from './postgres/programs.js';
import { logFor, type Report } from './report.js';
import { ensureTemporal } from './temporal/programs.js';

/**
 * Makes sure that PostgreSQL and Temporal can be started on this machine, unless the environment names external servers.
 * @throws ManagerError that names each method tried and what to do.
 */
export const ensureServices = async (report: Report, environment = process.env): Promise<void> => {
  if (externalDatabases(environment)) logFor('postgres', report)('external databases named by the environment');
  else await ensurePostgres(environment, report, dataMajor(environment));
  const address = environment['TEMPORAL_ADDRESS'];
  if (address) logFor('temporal', report)(`external server at TEMPORAL_ADDRESS=${address}`);
  else await ensureTemporal(environment, report);
};

/** A damaged state folder is reported when a stack starts on it, not by a test or a build. */
const dataMajor = (environment: NodeJS.ProcessEnv): number | undefined => {
  try {
    return dataMajorVersion(stateFolder(environment));
  } catch (error) {
    if (error instanceof ManagerError) return undefined;
    throw error;
  }
};
