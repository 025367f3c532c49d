import type { Command } from 'commander';
import { connect } from './connection.js';
import {
  addContentOptions,
  addressOf,
  contentOf,
  type AddressOptions,
  type ContentOptions,
} from './message-options.js';
import { showSent } from './message-text.js';

export function define(command: Command): void {
  addContentOptions(
    command
      .option('--agent <id>', 'to this agent')
      .option('--role <name>', 'to one member of --cluster with this role')
      .option('--capability <name>', 'to one agent with this capability, of --cluster if that is given')
      .option('--cluster <id>', 'to all members of this cluster')
      .option('--clusters <ids>', 'to all members of these clusters: cl_1,cl_2', listed)
      .option('--all-clusters', 'to all members of all clusters'),
  )
    .addHelpText(
      'after',
      `
Examples:
  cluster-manager send --agent ada --type greeting --data '"hello"'
  cluster-manager send --role writer --cluster cl_1 --type draft.wanted --data @draft.json
For acks by a deadline: cluster-manager broadcast --help`,
    )
    .action(send);
}

const listed = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  ...text.split(',').flatMap((id) => id.trim() || []),
];

async function send(options: AddressOptions & ContentOptions, command: Command): Promise<void> {
  const message = { ...contentOf(options), to: addressOf(options) };
  const [result] = await connect(command).sendMessages([message]);
  showSent(command, result);
}
