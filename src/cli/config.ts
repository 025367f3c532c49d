import type { Command } from 'commander';
import { loadConfig, type ManagerConfig } from '../config/load.js';
import { withoutCredentials } from '../config/problems.js';
import { stateFolder } from '../dev-stack/paths.js';
import { readRunningStack } from '../dev-stack/state/running-stack.js';
import { connect } from './connection.js';
import { facts, show } from './output.js';

const ownServer = 'postgres://managed-here/';

export function define(command: Command): void {
  command
    .command('show')
    .description('every setting in force, from the file and the environment; secrets are hidden')
    .option('--config <file>', 'the settings file (default: CLUSTER_MANAGER_CONFIG or cluster-manager.yaml)')
    .action((options: Options, self: Command) => print(options, self));
  command
    .command('check')
    .description('say every problem of the settings file and the environment, or that there is none')
    .option('--config <file>', 'the settings file (default: CLUSTER_MANAGER_CONFIG or cluster-manager.yaml)')
    .action((options: Options, self: Command) => check(options, self));
  command
    .command('apply')
    .description('have the running server read its settings file again')
    .action((_options: object, self: Command) => apply(self));
}

async function apply(command: Command): Promise<void> {
  const applied = await connect(command).applyConfig();
  const wait = applied.needRestart;
  show(command, applied, [
    `${applied.configPath} is in force.`,
    ...(wait.length > 0 ? [`At the next restart of the server only: ${wait.join(', ')}.`] : []),
    'Workers read their settings when they start.',
  ]);
}

interface Options {
  readonly config?: string;
}

function check(options: Options, command: Command): void {
  const { configPath } = load(options);
  show(command, { ok: true, configPath }, [`${configPath} and the environment are valid.`]);
}

function print(options: Options, command: Command): void {
  const document = documentOf(load(options));
  show(command, document, facts(flat(document)));
}

/** Where no database is named, `npm start` brings its own: that is no problem to tell. */
function load({ config }: Options): ManagerConfig {
  const managed = readRunningStack(stateFolder())?.env ?? {};
  const env = { DATABASE_URL: ownServer, ...managed, ...withoutEmpty(process.env) };
  return loadConfig({ env, ...(config === undefined ? {} : { path: config }) });
}

const withoutEmpty = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1])));

/** The command's own shape: no secret, and URLs without their passwords. */
function documentOf(config: ManagerConfig) {
  const { adminToken, enrolmentToken, token, temporal, databases, ...rest } = config;
  const { address, namespace, uiUrl } = temporal;
  const shownDatabases = Object.fromEntries(
    Object.entries(databases).map(([name, url]) => [
      name,
      url.startsWith(ownServer)
        ? `${url.slice(ownServer.length)}, on the server that npm start brings`
        : withoutCredentials(url),
    ]),
  );
  return {
    ...rest,
    databases: shownDatabases,
    temporal: { address, namespace, ...(uiUrl === undefined ? {} : { uiUrl }) },
    secretsSet: Object.entries({ adminToken, enrolmentToken, token })
      .filter(([, value]) => value !== undefined)
      .map(([name]) => name),
  };
}

const flat = (value: object, prefix = ''): [string, string][] =>
  Object.entries(value).flatMap(([key, inner]: [string, unknown]): [string, string][] => {
    const name = `${prefix}${key}`;
    if (Array.isArray(inner)) return [[name, inner.join(', ') || 'none']];
    if (typeof inner === 'object' && inner !== null) return flat(inner, `${name}.`);
    return [[name, String(inner)]];
  });
