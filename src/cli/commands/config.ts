import type { Command } from '@commander-js/extra-typings';
import { loadConfig, type ManagerConfig } from '../../config/load.js';
import { withoutCredentials } from '../../config/problems.js';
import { defined } from '../../contracts/defined.js';
import { stateFolder } from '../../dev-stack/paths.js';
import { readRunningStack } from '../../dev-stack/state/running-stack.js';
import { printing } from '../print.js';
import { facts } from '../table.js';

/** Stands for the PostgreSQL of `npm start` where the environment names no server: `config` must not call that a problem. */
const managedServer = 'postgres://managed-here/';

const configOption = [
  '--config <file>',
  'the settings file (default: CLUSTER_MANAGER_CONFIG or cluster-manager.yaml)',
] as const;

function config(command: Command): void {
  command
    .command('show')
    .description('show every setting in force, from the file and the environment, without secrets')
    .option(...configOption)
    .action(
      printing((_api, options) => {
        const document = documentOf(load(options));
        return { document, lines: facts(flatten(document)) };
      }),
    );
  command
    .command('check')
    .description('list every problem of the settings file and the environment')
    .option(...configOption)
    .action(
      printing((_api, options) => {
        const { configPath } = load(options);
        return { document: { ok: true, configPath }, lines: [`${configPath} and the environment are valid.`] };
      }),
    );
  command
    .command('apply')
    .description('let the running server read its settings file again')
    .action(
      printing(async (api) => {
        const document = await api().applyConfig();
        const { configPath, needRestart } = document;
        const lines = [
          `${configPath} is in force.`,
          ...(needRestart.length > 0 ? [`Takes effect when the server restarts: ${needRestart.join(', ')}.`] : []),
          'Workers read their settings when they start.',
        ];
        return { document, lines };
      }),
    );
}

export const commands = { config };

function load({ config: path }: { readonly config?: string | undefined }): ManagerConfig {
  const stackEnv = readRunningStack(stateFolder())?.env ?? {};
  const env = { DATABASE_URL: managedServer, ...stackEnv, ...withoutEmpty(process.env) };
  return loadConfig({ env, ...defined({ path }) });
}

const withoutEmpty = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1])));

/** The configuration without secrets and without the passwords of URLs. */
function documentOf(settings: ManagerConfig) {
  const { adminToken, enrolmentToken, token, temporal, databases, ...rest } = settings;
  const { address, namespace, uiUrl } = temporal;
  return {
    ...rest,
    databases: Object.fromEntries(Object.entries(databases).map(([name, url]) => [name, databaseText(url)])),
    temporal: { address, namespace, ...defined({ uiUrl }) },
    secretsSet: Object.keys(defined({ adminToken, enrolmentToken, token })),
  };
}

const databaseText = (url: string): string =>
  url.startsWith(managedServer)
    ? `${url.slice(managedServer.length)}, on the server that npm start runs`
    : withoutCredentials(url);

/** Nested settings by their dotted names. */
const flatten = (value: object, prefix = ''): Record<string, string> =>
  Object.assign(
    {},
    ...Object.entries(value).map(([key, inner]: [string, unknown]) => {
      const name = `${prefix}${key}`;
      if (Array.isArray(inner)) return { [name]: inner.join(', ') || 'none' };
      return typeof inner === 'object' && inner !== null ? flatten(inner, `${name}.`) : { [name]: String(inner) };
    }),
  ) as Record<string, string>;
