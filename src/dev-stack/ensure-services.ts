import { ManagerError } from '../contracts/errors.js';
import { stateFolder } from './paths.js';
import { dataMajorVersion } from './postgres/data-folder.js';
import { ensurePostgres } from './postgres/programs.js';
import type { Report } from './report.js';
import { ensureTemporal } from './temporal/programs.js';

/**
 * Makes sure that PostgreSQL and Temporal can be started on this machine, unless the environment names external servers.
 * @throws ManagerError that names each method tried and what to do.
 */
export const ensureServices = async (report: Report, environment = process.env): Promise<void> => {
  await ensurePostgres(environment, report, dataMajor(environment));
  await ensureTemporal(environment, report);
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
