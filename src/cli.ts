#!/usr/bin/env node
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { exitWith } from './cli/fail.js';

/** One verb: what the overview says of it, and the file that knows the rest, read only when it is asked for. */
interface Verb {
  readonly summary: string;
  readonly load: () => Promise<{ readonly define: (command: Command) => void }>;
}

const verbs: Readonly<Record<string, Verb>> = {
  start: { summary: 'start everything on this machine, until ctrl-C', load: () => import('./cli/start.js') },
  doctor: { summary: 'check what this machine has and say how to fix the rest', load: () => import('./cli/doctor.js') },
  status: { summary: 'the manager at a glance', load: () => import('./cli/status.js') },
  agents: { summary: 'list, show, drain and remove agents', load: () => import('./cli/agents.js') },
  form: { summary: 'form a cluster', load: () => import('./cli/form.js') },
  clusters: { summary: 'list, show and dissolve clusters', load: () => import('./cli/clusters.js') },
  operations: { summary: 'list, show and cancel operations', load: () => import('./cli/operations.js') },
  interval: { summary: 'run a periodic job now', load: () => import('./cli/interval.js') },
  token: { summary: 'create, list and revoke access tokens', load: () => import('./cli/token.js') },
  config: { summary: 'show and check the configuration', load: () => import('./cli/config.js') },
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

for (const [name, { summary }] of Object.entries(verbs)) program.command(name).summary(summary).description(summary);
program.hook('preSubcommand', async (_program, command) => {
  const verb = verbs[command.name()];
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
