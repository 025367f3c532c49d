import { join } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { cacheFolder } from '../paths.js';
import { compareVersions, findOnPath, isExecutable, notRunnable } from '../find-program.js';
import type { Attempt } from '../find-program.js';
import { runCommand } from '../run-command.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** The version that is downloaded or built: the last whose module can be installed by name, later ones carry a `replace`. */
export const temporalCliVersion = 'v1.5.1';
/** Update-with-start, which the client relies on, is part of servers from here on. */
export const oldestTemporalServer = '1.28.0';

/** A Temporal CLI that can be run here; its version is that of the server inside it. */
export interface TemporalCli {
  readonly path: string;
  readonly serverVersion: string;
  readonly from: string;
}

/** Where a downloaded or built CLI is kept. */
export const cachedTemporalCli = (environment: Environment): string =>
  join(cacheFolder(environment), `temporal-cli-${temporalCliVersion}-${process.platform}-${process.arch}`);

/** What a CLI says of itself, or why it cannot be used. */
export const inspectTemporal = async (way: string, path: string): Promise<TemporalCli | Attempt> => {
  if (!isExecutable(path)) return { way, reason: notRunnable(path) };
  try {
    const { stdout, stderr } = await runCommand(path, ['--version'], { timeoutMs: 20_000 });
    const serverVersion = /Server (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    if (!serverVersion) return { way, reason: `${path} --version said: ${(stdout || stderr).trim().slice(0, 200)}` };
    if (compareVersions(serverVersion, oldestTemporalServer) < 0) {
      return { way, reason: `${path} carries server ${serverVersion}, older than ${oldestTemporalServer}` };
    }
    return { path, serverVersion, from: `${way} (${path})` };
  } catch (error) {
    return { way, reason: error instanceof Error ? error.message : String(error) };
  }
};

/**
 * Finds a Temporal CLI: TEMPORAL_CLI_PATH, then PATH, then the cache.
 * @throws ManagerError invalid_configuration when TEMPORAL_CLI_PATH is set and cannot be used: a choice is not replaced silently.
 */
export const findTemporal = async (
  environment: Environment,
): Promise<{ readonly found?: TemporalCli; readonly attempts: readonly Attempt[] }> => {
  const chosen = environment['TEMPORAL_CLI_PATH'];
  if (chosen) {
    const result = await inspectTemporal('TEMPORAL_CLI_PATH', chosen);
    if ('path' in result) return { found: result, attempts: [] };
    throw new ManagerError(
      'invalid_configuration',
      `TEMPORAL_CLI_PATH=${chosen} cannot be used: ${result.reason}. Point it at a Temporal CLI with server ${oldestTemporalServer} or later, or unset it.`,
    );
  }
  const attempts: Attempt[] = [];
  const onPath = findOnPath('temporal', environment['PATH']);
  if (!onPath) attempts.push({ way: 'temporal on PATH', reason: 'not there' });
  for (const [way, path] of [
    ['temporal on PATH', onPath],
    ['our cache folder', cachedTemporalCli(environment)],
  ] as const) {
    if (!path) continue;
    const result = await inspectTemporal(way, path);
    if ('path' in result) return { found: result, attempts };
    attempts.push(result);
  }
  return { attempts };
};
