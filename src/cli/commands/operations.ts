import type { Command } from 'commander';
import { apiAction } from '../api-action.js';
import { ago, durationBetween } from '../format.js';
import { listCommand, type PageQuery } from '../list-command.js';
import { acceptedOutput, operationOutput } from '../operation-output.js';
import { withoutUndefined } from '../option-parsers.js';
import { table } from '../table.js';

export function define(command: Command): void {
  addListCommand(command)
    .option('--state <state>', 'only those that are running, queued, completed, compensated, refused or cancelled')
    .option('--cluster <id>', 'only those of this cluster');
  command
    .command('show <id>')
    .description('show an operation with its steps')
    .action(apiAction(async (api, id: string) => operationOutput(await api.operation(id))));
  command
    .command('cancel <id>')
    .description('cancel an operation and compensate its steps')
    .action(apiAction(async (api, id: string) => acceptedOutput(await api.cancelOperation(id))));
}

const addListCommand = listCommand({
  description: 'list operations, newest first',
  key: 'operations',
  read: (api, { cluster, ...query }: PageQuery & { readonly state?: string; readonly cluster?: string }) =>
    api.operations(withoutUndefined({ ...query, clusterId: cluster })),
  items: ({ operations }) => operations,
  lines: (operations) =>
    table(operations, {
      OPERATION: ({ id }) => id,
      TYPE: ({ type }) => type,
      STATE: ({ state }) => state,
      CREATED: ({ createdAt }) => ago(createdAt),
      TOOK: ({ createdAt, endedAt }) => endedAt && durationBetween(createdAt, endedAt),
      CLUSTER: ({ clusterId }) => clusterId,
      ERROR: ({ error }) => error?.code,
    }),
});
