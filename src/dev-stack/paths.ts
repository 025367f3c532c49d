import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's own folder: the same from src/ and from dist/. */
export const packageFolder = fileURLToPath(new URL('../../', import.meta.url));

/** Where a manager keeps its data, secrets and logs: `CLUSTER_MANAGER_HOME`, else `.cluster-manager` in the working folder. */
export const stateFolder = (environment = process.env, workingFolder = process.cwd()): string =>
  resolve(workingFolder, environment['CLUSTER_MANAGER_HOME'] || '.cluster-manager');

/** Where downloaded and built programs are kept for all projects of this user. */
export const cacheFolder = (environment = process.env): string => {
  const own = environment['CLUSTER_MANAGER_CACHE'];
  if (own) return resolve(own);
  const shared = environment['XDG_CACHE_HOME'];
  return join(shared ? resolve(shared) : join(environment['HOME'] || homedir(), '.cache'), 'cluster-manager');
};
