#!/usr/bin/env node
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { reportError } from './cli/report-error.js';

/** A command's summary, and the module that defines its options and action. It is loaded only when the command runs. */
type CommandEntry = readonly [summary: string, load: () => Promise<{ readonly define: (command: Command) => unknown }>];

/** By the headings of the overview. */
const groups: Readonly<Record<string, Readonly<Record<string, CommandEntry>>>> = {
  'The manager:': {
    start: ['start everything on this machine, until ctrl-C', () => import('./cli/commands/start.js')],
    doctor: ['check this machine and say how to fix problems', () => import('./cli/commands/doctor.js')],
    status: ["show the manager's status", () => import('./cli/commands/status.js')],
    config: ['show and check the configuration', () => import('./cli/commands/config.js')],
    token: ['create, list and revoke access tokens', () => import('./cli/commands/token.js')],
  },
  'Agents and clusters:': {
    agents: ['list, show, drain and remove agents', () => import('./cli/commands/agents.js')],
    form: ['form a cluster', () => import('./cli/commands/form.js')],
    clusters: ['list, show and dissolve clusters', () => import('./cli/commands/clusters.js')],
    operations: ['list, show and cancel operations', () => import('./cli/commands/operations.js')],
    interval: ['run a periodic job now', () => import('./cli/commands/interval.js')],
  },
  'Scaling and resources:': {
    scale: ['scale a cluster to the size it needs, or to a given one', () => import('./cli/commands/scale.js')],
    explain: ['explain a scaling decision with its numbers', () => import('./cli/commands/explain.js')],
    score: ['show the stability scores of a cluster', () => import('./cli/commands/score.js')],
    rebalance: ['assess, scale and rebalance all clusters now', () => import('./cli/commands/rebalance.js')],
    requests: ['list capacity requests to the orchestrator', () => import('./cli/commands/requests.js')],
    grant: ['grant a capacity request, after adding the agents', () => import('./cli/commands/grant.js')],
    deny: ['deny a capacity request', () => import('./cli/commands/deny.js')],
    resources: ['show pools, agent capacity and the state of the ledger', () => import('./cli/commands/resources.js')],
    pools: ['list, show, put and remove pools', () => import('./cli/commands/pools.js')],
    quotas: ['show and set the quotas and the weight of a cluster', () => import('./cli/commands/quotas.js')],
    budgets: ['list and put the budgets of a cluster', () => import('./cli/commands/budgets.js')],
  },
  'Messages:': {
    send: ['send a message to an agent, a role, a capability or clusters', () => import('./cli/commands/send.js')],
    broadcast: ['send to all members of a cluster and count their acks', () => import('./cli/commands/broadcast.js')],
    publish: ['publish a message to a topic', () => import('./cli/commands/publish.js')],
    inbox: ["read an agent's inbox", () => import('./cli/commands/inbox.js')],
    topics: ['list, show, create and delete topics', () => import('./cli/commands/topics.js')],
    messages: ['show the trace of a message', () => import('./cli/commands/messages.js')],
    receipts: ['show the receipt of a broadcast', () => import('./cli/commands/receipts.js')],
    'dead-letters': ['list, replay and discard dead letters', () => import('./cli/commands/dead-letters.js')],
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
  if (entry && command.parent === program) (await entry[1]()).define(command);
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
