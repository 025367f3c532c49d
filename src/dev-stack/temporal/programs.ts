import { join } from 'node:path';
import { compareVersions } from 'compare-versions';
import { findOnPath, findOrInstallProgram, findProgram, readVersion } from '../find-program.js';
import type { Program, SearchResult } from '../find-program.js';
import { cacheFolder } from '../paths.js';
import { logFor, type Report } from '../report.js';
import { buildTemporal } from './build.js';
import { downloadTemporal } from './download.js';

/** The version that is downloaded or built: the last whose module Go can install by name; later ones contain a `replace`. */
export const temporalCliVersion = 'v1.5.1';
/** The first server with update-with-start, which the client uses. */
export const oldestTemporalServer = '1.28.0';

const allowed = `a Temporal CLI with server ${oldestTemporalServer} or later`;

/** Where a downloaded or built CLI is kept. */
export const cachedTemporalCli = (environment: NodeJS.ProcessEnv): string =>
  join(cacheFolder(environment), `temporal-cli-${temporalCliVersion}-${process.platform}-${process.arch}`);

const inspect = async (path: string): Promise<string> => {
  const version = await readVersion(path, /Server (\d+\.\d+\.\d+)/);
  if (compareVersions(version, oldestTemporalServer) >= 0) return version;
  throw new Error(`${path} contains server ${version}, older than ${oldestTemporalServer}`);
};

/**
 * Finds a Temporal CLI: TEMPORAL_CLI_PATH, then PATH, then the cache. Its version is that of the server in it.
 * @throws ManagerError invalid_configuration when TEMPORAL_CLI_PATH is set and cannot be used.
 */
export const findTemporal = (environment: NodeJS.ProcessEnv): Promise<SearchResult> =>
  findProgram({
    variable: 'TEMPORAL_CLI_PATH',
    chosen: environment['TEMPORAL_CLI_PATH'],
    allowed,
    places: [
      { way: 'temporal on PATH', path: findOnPath('temporal', environment['PATH']) },
      { way: 'the cache', path: cachedTemporalCli(environment) },
    ],
    inspect,
  });

/**
 * A Temporal CLI for this machine, downloaded or built into the cache when there is none.
 * @throws ManagerError service_unavailable that names each method tried.
 */
export const ensureTemporal = (environment: NodeJS.ProcessEnv, report: Report | undefined): Promise<Program> => {
  const log = logFor('temporal', report);
  const build = { target: cachedTemporalCli(environment), version: temporalCliVersion, log };
  return findOrInstallProgram({
    name: 'Temporal CLI',
    part: 'temporal',
    find: () => findTemporal(environment),
    methods: [
      { way: 'the official download', install: () => downloadTemporal(build) },
      { way: 'go install', install: () => buildTemporal({ ...build, environment }) },
    ],
    lockFile: `${build.target}.lock`,
    advice: `Install ${allowed} or Go 1.25, or set TEMPORAL_CLI_PATH to a CLI or TEMPORAL_ADDRESS to a running server.`,
    foundAs: 'server',
    report,
  });
};
