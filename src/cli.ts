#!/usr/bin/env node
import { createRequire } from 'node:module';
import { Command, CommanderError } from '@commander-js/extra-typings';
import { reportError } from './cli/report-error.js';

type Definitions = Readonly<Record<string, (command: Command) => unknown>>;
type Module = () => Promise<{ readonly commands: Definitions }>;

/* The modules that define the options and actions of commands. A module is loaded only when one of its commands runs. */
const stack: Module = () => import('./cli/commands/stack.js');
const config: Module = () => import('./cli/commands/config.js');
const manager: Module = () => import('./cli/commands/manager.js');
const agents: Module = () => import('./cli/commands/agents.js');
const clusters: Module = () => import('./cli/commands/clusters.js');
const form: Module = () => import('./cli/commands/form.js');
const scaling: Module = () => import('./cli/commands/scaling.js');
const requests: Module = () => import('./cli/commands/requests.js');
const resources: Module = () => import('./cli/commands/resources.js');
const send: Module = () => import('./cli/commands/send.js');
const inbox: Module = () => import('./cli/commands/inbox.js');
const topics: Module = () => import('./cli/commands/topics.js');
const messages: Module = () => import('./cli/commands/messages.js');
const deadLetters: Module = () => import('./cli/commands/dead-letters.js');

/** Each command's summary and module, by the headings of the overview. */
const groups: Readonly<Record<string, Readonly<Record<string, readonly [summary: string, Module]>>>> = {
  'The manager:': {
    start: ['start everything on this machine, until ctrl-C', stack],
    doctor: ['check this machine and say how to fix problems', stack],
    status: ["show the manager's status", manager],
    config: ['show and check the configuration', config],
    token: ['create, list and revoke access tokens', manager],
  },
  'Agents and clusters:': {
    agents: ['list, show, drain and remove agents', agents],
    form: ['form a cluster', form],
    clusters: ['list, show and dissolve clusters', clusters],
    operations: ['list, show and cancel operations', clusters],
    interval: ['run a periodic job now', manager],
  },
  'Scaling and resources:': {
    scale: ['scale a cluster to the size it needs, or to a given one', scaling],
    explain: ['explain a scaling decision with its numbers', scaling],
    score: ['show the stability scores of a cluster', scaling],
    rebalance: ['assess, scale and rebalance all clusters now', manager],
    requests: ['list capacity requests to the orchestrator', requests],
    grant: ['grant a capacity request, after adding the agents', requests],
    deny: ['deny a capacity request', requests],
    resources: ['show pools, agent capacity and the state of the ledger', resources],
    pools: ['list, show, put and remove pools', resources],
    quotas: ['show and set the quotas and the weight of a cluster', resources],
    budgets: ['list and put the budgets of a cluster', resources],
  },
  'Messages:': {
    send: ['send a message to an agent, a role, a capability or clusters', send],
    broadcast: ['send to all members of a cluster and count their acks', send],
    publish: ['publish a message to a topic', send],
    inbox: ["read an agent's inbox", inbox],
    topics: ['list, show, create and delete topics', topics],
    messages: ['show the trace of a message', messages],
    receipts: ['show the receipt of a broadcast', messages],
    'dead-letters': ['list, replay and discard dead letters', deadLetters],
  },
};

const { version } = createRequire(import.meta.url)('../package.json') as { readonly version: string };

const program = new Command('cluster-manager')
  .description('A durable cluster manager for multi-agent systems on Temporal.')
  .version(version)
  .option('--json', 'print one JSON document on stdout, or one on stderr for an error')
  .option('--url <url>', "the API's URL; default: CLUSTER_MANAGER_URL, else the manager that runs in this folder")
  .option('--token-file <file>', "a file with the token; default: CLUSTER_MANAGER_TOKEN, else this folder's manager's")
  .configureHelp({ showGlobalOptions: true })
  .helpCommand(false)
  .exitOverride()
  .configureOutput({ writeErr: () => undefined });

for (const [heading, entries] of Object.entries(groups)) {
  for (const [name, [summary]] of Object.entries(entries)) {
    program.command(name).summary(summary).description(summary).helpGroup(heading);
  }
}
program.hook('preSubcommand', async (_program, command) => {
  const entry = groups[command.helpGroup()]?.[command.name()];
  if (entry && command.parent === program) (await entry[1]()).commands[command.name()]?.(command as Command);
});

// A closed pipe is not an error: the reader, such as head, has all that it wants.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 70));

try {
  await program.parseAsync();
} catch (error) {
  // Commander throws for --help and --version too.
  const isHelp = error instanceof CommanderError && error.exitCode === 0;
  if (!isHelp) reportError(error, process.argv.includes('--json'));
}
