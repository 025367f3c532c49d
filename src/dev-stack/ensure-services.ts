import { ManagerError } from '../contracts/errors.js';
import { ensurePostgres } from './postgres/ensure.js';
import { ensureTemporal } from './temporal/ensure.js';
import { stateFolder } from './paths.js';
import { dataMajorVersion } from './postgres/data-folder.js';
import type { Report } from './report.js';

/**
 * Makes sure that PostgreSQL and Temporal can be started on this machine, or are named elsewhere by the environment.
 * @throws ManagerError that names each way tried and what to do.
 */
export const ensureServices = async (
  report: Report,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<void> => {
  await ensurePostgres(environment, report, dataMajor(environment));
  await ensureTemporal(environment, report);
};

/** A damaged state folder is told when it is started, not when a test or a build prepares the machine. */
const dataMajor = (environment: Readonly<Record<string, string | undefined>>): number | undefined => {
  try {
    return dataMajorVersion(stateFolder(environment));
  } catch (error) {
    if (error instanceof ManagerError) return undefined;
    throw error;
  }
};
