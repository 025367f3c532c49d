import type { Command } from 'commander';
import { apiAction } from '../api-action.js';
import { ago, duration, truncate } from '../format.js';
import { listCommand, type PageQuery } from '../list-command.js';
import { withoutUndefined } from '../option-parsers.js';
import { table } from '../table.js';

export function define(command: Command): void {
  addListCommand(command)
    .option('--state <state>', 'only those that are open, granted, denied or expired')
    .option('--cluster <id>', 'only those of this cluster');
}

const addListCommand = listCommand({
  description: 'list capacity requests to the orchestrator, newest first',
  key: 'requests',
  read: (api, { cluster, ...query }: PageQuery & { readonly state?: string; readonly cluster?: string }) =>
    api.resourceRequests(withoutUndefined({ ...query, clusterId: cluster })),
  items: ({ resourceRequests }) => resourceRequests,
  lines: (requests) =>
    table(requests, {
      REQUEST: ({ id }) => id,
      STATE: ({ state }) => state,
      CLUSTER: ({ clusterId }) => clusterId,
      NEED: ({ need }) => truncate(JSON.stringify(need), 80),
      OPENED: ({ openedAt }) => ago(openedAt),
      DEADLINE: ({ state, deadlineAt }) =>
        state === 'open' ? `${duration(Date.parse(deadlineAt) - Date.now())} left` : '',
      'ANSWERED BY': ({ answeredBy }) => answeredBy,
      REASON: ({ reason }) => truncate(reason, 100),
    }),
});

const answerCommand =
  (call: 'grantRequest' | 'denyRequest', effect: string) =>
  (command: Command): Command =>
    command
      .argument('<request>', 'its id; "requests list --state open" lists those that wait for an answer')
      .option('--reason <text>', 'stored with the answer')
      .action(
        apiAction(async (api, id: string, { reason }: { readonly reason?: string }) => {
          const request = await api[call](id, reason);
          const operation = `cluster-manager operations show ${request.operationId}`;
          return { document: { request }, lines: [`${request.id} is ${request.state}; ${effect}: ${operation}`] };
        }),
      );

export const defineGrant = answerCommand('grantRequest', 'its operation searches for agents again');
export const defineDeny = answerCommand('denyRequest', 'its operation ends with the members that it has');
