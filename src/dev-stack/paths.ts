import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

type Environment = Readonly<Record<string, string | undefined>>;

/** The package's own folder: the same whether this file runs from src/ or from dist/. */
export const packageFolder = fileURLToPath(new URL('../../', import.meta.url));

/** Where one manager keeps its data, secrets and logs: `CLUSTER_MANAGER_HOME`, else `.cluster-manager` in the working folder. */
export const stateFolder = (environment: Environment = process.env, workingFolder: string = process.cwd()): string =>
  resolve(workingFolder, environment['CLUSTER_MANAGER_HOME'] || '.cluster-manager');

/** Where downloaded and built programs are kept for every project of this user. */
export const cacheFolder = (environment: Environment = process.env): string => {
  const own = environment['CLUSTER_MANAGER_CACHE'];
  if (own) return resolve(own);
  const shared = environment['XDG_CACHE_HOME'];
  return join(shared ? resolve(shared) : join(environment['HOME'] || homedir(), '.cache'), 'cluster-manager');
};
