#!/usr/bin/env node
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { exitWith } from './cli/exit.js';

/** One verb: what the overview says of it, and the file that knows the rest, read only when it is asked for. */
interface Verb {
  readonly summary: string;
  readonly load: () => Promise<{ readonly define: (command: Command) => void }>;
}

/** By the headings of the overview. */
const groups: Readonly<Record<string, Readonly<Record<string, Verb>>>> = {
  'The manager:': {
    start: { summary: 'start everything on this machine, until ctrl-C', load: () => import('./cli/start.js') },
    doctor: {
      summary: 'check what this machine has and say how to fix the rest',
      load: () => import('./cli/doctor.js'),
    },
    status: { summary: 'the manager at a glance', load: () => import('./cli/status.js') },
    config: { summary: 'show and check the configuration', load: () => import('./cli/config.js') },
    token: { summary: 'create, list and revoke access tokens', load: () => import('./cli/token.js') },
  },
  'Agents and clusters:': {
    agents: { summary: 'list, show, drain and remove agents', load: () => import('./cli/agents.js') },
    form: { summary: 'form a cluster', load: () => import('./cli/form.js') },
    clusters: { summary: 'list, show and dissolve clusters', load: () => import('./cli/clusters.js') },
    operations: { summary: 'list, show and cancel operations', load: () => import('./cli/operations.js') },
    interval: { summary: 'run a periodic job now', load: () => import('./cli/interval.js') },
  },
  'Scaling and resources:': {
    scale: { summary: 'bring a cluster to the size it needs, or to another', load: () => import('./cli/scale.js') },
    explain: {
      summary: 'why a cluster has the size it has, to be checked by hand',
      load: () => import('./cli/explain.js'),
    },
    score: { summary: 'how stable a cluster is, part by part', load: () => import('./cli/score.js') },
    rebalance: {
      summary: 'assess all clusters now, scale and rebalance',
      load: () => import('./cli/rebalance.js'),
    },
    requests: { summary: 'what clusters ask the orchestrator for', load: () => import('./cli/requests.js') },
    grant: { summary: 'grant such a request: what was asked for is there now', load: () => import('./cli/grant.js') },
    deny: { summary: 'deny such a request', load: () => import('./cli/deny.js') },
    resources: {
      summary: 'what there is, what is used, and whether the books agree',
      load: () => import('./cli/resources.js'),
    },
    pools: { summary: 'list, show, put and remove shared capacity', load: () => import('./cli/pools.js') },
    quotas: { summary: 'show and set what a cluster may hold, and its weight', load: () => import('./cli/quotas.js') },
    budgets: { summary: 'list and put what a cluster may spend', load: () => import('./cli/budgets.js') },
  },
  'Messages:': {
    send: {
      summary: 'send a message to an agent, a role, a capability or clusters',
      load: () => import('./cli/send.js'),
    },
    broadcast: {
      summary: 'send to all members of a cluster and count their acks',
      load: () => import('./cli/broadcast.js'),
    },
    publish: { summary: 'send to the subscribers of a topic', load: () => import('./cli/publish.js') },
    inbox: { summary: "read an agent's mail", load: () => import('./cli/inbox.js') },
    topics: { summary: 'list, show, create and delete topics', load: () => import('./cli/topics.js') },
    messages: { summary: 'the way of a message, hop by hop', load: () => import('./cli/messages.js') },
    receipts: { summary: 'who has acked a message that was for many', load: () => import('./cli/receipts.js') },
    'dead-letters': {
      summary: 'list, replay and discard what could not be delivered',
      load: () => import('./cli/dead-letters.js'),
    },
  },
};

const { version } = createRequire(import.meta.url)('../package.json') as { readonly version: string };

const program = new Command('cluster-manager')
  .description('A durable cluster manager for multi-agent systems on Temporal.')
  .version(version)
  .option('--json', 'print one JSON document; errors too, on stderr')
  .option('--url <url>', 'the API; default: CLUSTER_MANAGER_URL, else the manager that runs in this folder')
  .option('--token-file <file>', 'file with the token; default: CLUSTER_MANAGER_TOKEN, else that of this folder')
  .configureHelp({ showGlobalOptions: true })
  .helpCommand(false)
  .exitOverride()
  .configureOutput({ writeErr: () => undefined });

for (const [heading, verbs] of Object.entries(groups)) {
  for (const [name, { summary }] of Object.entries(verbs)) {
    program.command(name).summary(summary).description(summary).helpGroup(heading);
  }
}
program.hook('preSubcommand', async (_program, command) => {
  const verb = groups[command.helpGroup()]?.[command.name()];
  if (verb && command.parent === program) (await verb.load()).define(command);
});

// A reader that has seen enough, such as head, is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 70));

try {
  await program.parseAsync();
} catch (error) {
  const asked = error instanceof CommanderError && error.exitCode === 0;
  if (!asked) exitWith(error, process.argv.includes('--json'));
}
