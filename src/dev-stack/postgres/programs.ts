import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { embeddedPostgresFolder } from './install.js';
import { compareVersions, findOnPath, isExecutable, notRunnable } from '../find-program.js';
import type { Attempt } from '../find-program.js';
import { runCommand } from '../run-command.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** A PostgreSQL that can be run here: the folder of its programs, its version (`15.18`) and where it came from. */
export interface PostgresBinaries {
  readonly folder: string;
  readonly version: string;
  readonly major: number;
  readonly from: string;
}

const oldestMajor = 14;

const subfolders = (parent: string): readonly string[] => {
  try {
    return readdirSync(parent).toSorted((a, b) => compareVersions(b.replace(/\D*/, ''), a.replace(/\D*/, '')));
  } catch {
    return [];
  }
};

const installedFolders = (environment: Environment): readonly { readonly way: string; readonly folder: string }[] => {
  const onPath = findOnPath('postgres', environment['PATH']);
  const trees = [
    { parent: '/usr/lib/postgresql', below: 'bin', only: /^\d+$/ },
    { parent: '/opt/homebrew/opt', below: 'bin', only: /^postgresql(@\d+)?$/ },
    { parent: '/usr/local/opt', below: 'bin', only: /^postgresql(@\d+)?$/ },
    { parent: '/Applications/Postgres.app/Contents/Versions', below: 'bin', only: /^\d+$/ },
  ];
  return [
    // A link in /usr/bin stands alone: initdb and the libraries are beside the file that it points to.
    ...(onPath ? [{ way: 'postgres on PATH', folder: dirname(realpathSync(onPath)) }] : []),
    ...trees.flatMap(({ parent, below, only }) =>
      subfolders(parent)
        .filter((name) => only.test(name))
        .map((name) => ({ way: `programs in ${parent}`, folder: join(parent, name, below) })),
    ),
  ];
};

const inspect = async (
  way: string,
  folder: string,
  wantedMajor: number | undefined,
): Promise<PostgresBinaries | Attempt> => {
  for (const program of ['postgres', 'initdb']) {
    if (!isExecutable(join(folder, program))) return { way, reason: notRunnable(join(folder, program)) };
  }
  try {
    const { stdout, stderr } = await runCommand(join(folder, 'postgres'), ['--version'], { timeoutMs: 10_000 });
    const version = /\(PostgreSQL\) (\d+(?:\.\d+)*)/.exec(stdout)?.[1];
    if (!version) return { way, reason: `${folder}/postgres --version said: ${(stderr || stdout).trim()}` };
    const major = Number.parseInt(version, 10);
    if (major < oldestMajor) return { way, reason: `version ${version} in ${folder} is older than ${oldestMajor}` };
    if (wantedMajor !== undefined && major !== wantedMajor) {
      return { way, reason: `version ${version} in ${folder}, but the data was written by ${wantedMajor}` };
    }
    return { folder, version, major, from: `${way} (${folder})` };
  } catch (error) {
    return { way, reason: error instanceof Error ? error.message : String(error) };
  }
};

/**
 * Finds PostgreSQL programs: POSTGRES_BIN_DIR, then those of the machine, then the cached npm package.
 * @param wantedMajor the major version that wrote the data folder, when there is one.
 * @throws ManagerError invalid_configuration when POSTGRES_BIN_DIR is set and cannot be used: a choice is not replaced silently.
 */
export const findPostgres = async (
  environment: Environment,
  wantedMajor?: number,
): Promise<{ readonly found?: PostgresBinaries; readonly attempts: readonly Attempt[] }> => {
  const chosen = environment['POSTGRES_BIN_DIR'];
  if (chosen) {
    const result = await inspect('POSTGRES_BIN_DIR', chosen, wantedMajor);
    if ('version' in result) return { found: result, attempts: [] };
    throw new ManagerError(
      'invalid_configuration',
      `POSTGRES_BIN_DIR=${chosen} cannot be used: ${result.reason}. Point it at a folder with postgres and initdb of version ${wantedMajor ?? `${oldestMajor} or later`}, or unset it.`,
    );
  }
  const attempts: Attempt[] = [];
  const seen = new Set<string>();
  const embedded = embeddedPostgresFolder(environment);
  for (const { way, folder } of [
    ...installedFolders(environment),
    { way: 'npm package in the cache', folder: embedded },
  ]) {
    if (seen.has(folder)) continue;
    seen.add(folder);
    const result = await inspect(way, folder, wantedMajor);
    if ('version' in result) return { found: result, attempts };
    attempts.push(result);
  }
  return { attempts };
};
