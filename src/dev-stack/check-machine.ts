import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compareVersions } from 'compare-versions';
import { ManagerError, messageOf } from '../contracts/errors.js';
import { checkDatabases, checkTemporal, externalDatabases } from './external-services.js';
import { requireProgram } from './find-program.js';
import { packageFolder, stateFolder } from './paths.js';
import { isPortFree, preferredPorts } from './ports.js';
import { dataMajorVersion } from './postgres/data-folder.js';
import { findPostgres } from './postgres/programs.js';
import { readRunningStack } from './state/running-stack.js';
import { checkTemporalData } from './temporal/data-file.js';
import { findTemporal } from './temporal/programs.js';

interface Finding {
  readonly ok: boolean;
  readonly found: string;
  readonly version?: string;
  readonly from?: string;
  /** What to do when it is not ok. */
  readonly fix?: string;
}

/** What was found of one part of the machine. */
export interface Check extends Finding {
  readonly part: string;
}

/** Checks every part that the manager needs on this machine. Changes and starts nothing, and throws for nothing it finds. */
export const checkMachine = (environment = process.env): Promise<Check[]> => {
  const stateDir = stateFolder(environment);
  const checks: readonly (readonly [string, () => Finding | Promise<Finding>])[] = [
    ['node', checkNode],
    ['build', checkBuild],
    ['postgres', () => checkPostgres(environment, stateDir)],
    ['temporal', () => checkTemporalPart(environment, stateDir)],
    ['state folder', () => checkStateFolder(stateDir)],
    ['api port', () => checkApiPort(environment, stateDir)],
  ];
  return Promise.all(
    checks.map(async ([part, check]) => {
      try {
        return { part, ...(await check()) };
      } catch (error) {
        // A refusal's message says both what was seen and what to do.
        const code = error instanceof ManagerError ? error.code : 'internal';
        return { part, ok: false, found: code, fix: messageOf(error) };
      }
    }),
  );
};

const checkNode = (): Finding => {
  const { node } = process.versions;
  const found = { found: 'Node.js', version: node, from: process.execPath };
  const ok = compareVersions(node, '20.19.0') >= 0;
  return ok ? { ok, ...found } : { ok, ...found, fix: 'Install Node 20.19 or later.' };
};

const checkBuild = (): Finding => {
  const folder = join(packageFolder, 'dist');
  const missing = ['worker.js', 'server.js', 'workflow-bundle.js'].filter((name) => !existsSync(join(folder, name)));
  if (missing.length === 0) return { ok: true, found: 'built', from: folder };
  return { ok: false, found: `dist has no ${missing.join(', ')}`, fix: 'Run: npm run setup' };
};

const checkPostgres = async (environment: NodeJS.ProcessEnv, stateDir: string): Promise<Finding> => {
  const external = externalDatabases(environment);
  if (external) {
    await checkDatabases(external);
    return { ok: true, found: 'an external server that accepts connections', from: Object.keys(external).join(', ') };
  }
  const search = await findPostgres(environment, dataMajorVersion(stateDir));
  const { version, from } = requireProgram('PostgreSQL', search, 'Run: npm run setup, which installs it from npm.');
  return { ok: true, found: 'PostgreSQL programs', version, from };
};

const checkTemporalPart = async (environment: NodeJS.ProcessEnv, stateDir: string): Promise<Finding> => {
  const address = environment['TEMPORAL_ADDRESS'];
  if (address) {
    const version = await checkTemporal(address, environment);
    if (version !== undefined) return { ok: true, found: 'an external server that answers', version, from: address };
    return { ok: true, found: 'an external server behind TLS, not asked for its version', from: address };
  }
  const advice = 'Run: npm run setup, which downloads or builds it.';
  const cli = requireProgram('Temporal CLI', await findTemporal(environment), advice);
  checkTemporalData(stateDir, cli);
  return { ok: true, found: 'Temporal CLI with its server', version: cli.version, from: cli.from };
};

const checkStateFolder = (stateDir: string): Finding => {
  const running = readRunningStack(stateDir);
  const unused = existsSync(stateDir) ? 'exists, no manager runs on it' : 'does not exist yet';
  return { ok: true, found: running ? `in use by the running manager, pid ${running.pid}` : unused, from: stateDir };
};

const checkApiPort = async (environment: NodeJS.ProcessEnv, stateDir: string): Promise<Finding> => {
  const url = readRunningStack(stateDir)?.urls.api;
  if (url) return { ok: true, found: `served by the running manager at ${url}` };
  const port = Number(environment['CLUSTER_MANAGER_PORT'] || preferredPorts.api);
  if (await isPortFree(port)) return { ok: true, found: `${port} is free` };
  return {
    ok: false,
    found: `${port} is in use by another program`,
    fix: `Stop it, or choose another port: --port ${port + 1}.`,
  };
};
