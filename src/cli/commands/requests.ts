import type { Command } from '@commander-js/extra-typings';
import { ago, duration, truncate } from '../format.js';
import { listCommand } from '../list-command.js';
import { printing } from '../print.js';
import { table } from '../table.js';

const requests = (command: Command): unknown =>
  listCommand(command, {
    description: 'list capacity requests to the orchestrator, newest first',
    endpoint: 'listResourceRequests',
    key: 'resourceRequests',
    documentKey: 'requests',
    lines: (listed) =>
      table(listed, {
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
  })
    .option('--state <state>', 'only those that are open, granted, denied or expired')
    .option('--cluster <id>', 'only those of this cluster');

const answerCommand =
  (endpoint: 'grantResources' | 'denyResources', effect: string) =>
  (command: Command): unknown =>
    command
      .argument('<request>', 'its id; "requests list --state open" lists those that wait for an answer')
      .option('--reason <text>', 'stored with the answer')
      .action(
        printing(async (api, id, body) => {
          const { resourceRequest: request } = await api()[endpoint]({ params: { id }, body });
          const operation = `cluster-manager operations show ${request.operationId}`;
          return { document: { request }, lines: [`${request.id} is ${request.state}; ${effect}: ${operation}`] };
        }),
      );

export const commands = {
  requests,
  grant: answerCommand('grantResources', 'its operation searches for agents again'),
  deny: answerCommand('denyResources', 'its operation ends with the members that it has'),
};
