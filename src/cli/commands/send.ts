import type { Command } from 'commander';
import { connect } from '../connect.js';
import {
  addContentOptions,
  parseAddress,
  parseContent,
  type AddressOptions,
  type ContentOptions,
} from '../message-options.js';
import { sentOutput } from '../message-output.js';
import { print } from '../print.js';

export function define(command: Command): void {
  addContentOptions(
    command
      .option('--agent <id>', 'to this agent')
      .option('--role <name>', 'to one member of --cluster with this role')
      .option('--capability <name>', 'to one agent with this capability; with --cluster, to one of its members')
      .option('--cluster <id>', 'to all members of this cluster')
      .option('--clusters <ids>', 'to all members of these clusters: cl_1,cl_2', splitIds)
      .option('--all-clusters', 'to all members of all clusters'),
  )
    .addHelpText(
      'after',
      `
Examples:
  cluster-manager send --agent ada --type greeting --data '"hello"'
  cluster-manager send --role writer --cluster cl_1 --type draft.wanted --data @draft.json
To require acks by a deadline: cluster-manager broadcast --help`,
    )
    .action(send);
}

const splitIds = (text: string, previous: readonly string[] = []): string[] => [
  ...previous,
  ...text.split(',').flatMap((id) => id.trim() || []),
];

async function send(options: AddressOptions & ContentOptions, command: Command): Promise<void> {
  const message = { ...parseContent(options), to: parseAddress(options) };
  print(command, sentOutput(await connect(command).sendMessages([message])));
}
