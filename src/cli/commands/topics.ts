import { InvalidArgumentError, type Command } from '@commander-js/extra-typings';
import { defined } from '../../contracts/defined.js';
import type { AccessList, Retention, TopicView } from '../../contracts/topics.js';
import { ago, counted } from '../format.js';
import { listCommand } from '../list-command.js';
import { collect, wholeNumber } from '../option-parsers.js';
import { printing, type Output } from '../print.js';
import { facts, table } from '../table.js';

function topics(command: Command): void {
  listCommand(command, {
    description: 'list topics by name',
    endpoint: 'listTopics',
    key: 'topics',
    lines: topicTable,
  });
  command
    .command('show <name>')
    .description('show a topic')
    .action(printing(async (api, name) => topicOutput(await api().getTopic({ params: { name } }))));
  command
    .command('subscribers <name>')
    .description('list the subscribers of a topic')
    .action(
      printing(async (api, name) => {
        const { subscribers } = (await api().getTopic({ params: { name } })).topic;
        const lines = subscribers.length === 0 ? [`${name} has no subscribers.`] : subscriberTable(subscribers);
        return { document: { subscribers }, lines };
      }),
    );
  createCommand(command);
  deleteCommand(command);
}

export const commands = { topics };

const createCommand = (command: Command): unknown =>
  command
    .command('create <name>')
    .description('create a topic; creating the same topic again changes nothing')
    .option('--keep <rule>', 'retain for later subscribers: none, last, count:20 or duration:3600', parseRetention)
    .option('--publisher <id>', 'allow only these to publish: an agent id or cluster:<id>; may be repeated', collect)
    .option('--subscriber <id>', 'allow only these to subscribe: an agent id or cluster:<id>; may be repeated', collect)
    .option('--max-subscribers <count>', 'allow at most this many subscribers', wholeNumber(1, 100_000))
    .action(
      printing(async (api, name, { keep, publisher, subscriber, maxSubscribers }) => {
        const settings = defined({
          retention: keep,
          publish: publisher && parseAccess(publisher),
          subscribe: subscriber && parseAccess(subscriber),
          maxSubscribers,
        });
        return topicOutput(await api().createTopic({ body: { name, ...settings } }));
      }),
    );

const deleteCommand = (command: Command): unknown =>
  command
    .command('delete <name>')
    .description('delete a topic after its pending deliveries are acked')
    .option('--force', 'delete it at once: pending deliveries become dead letters')
    .action(
      printing(async (api, name, { force }) => {
        const topic = await api().deleteTopic({ params: { name }, query: { mode: force ? 'force' : 'drain' } });
        const { state, deadLettered } = topic;
        const lost = deadLettered === 0 ? '' : `, ${counted(deadLettered, 'dead letter')}`;
        const line =
          state === 'deleted'
            ? `Topic ${name} is deleted${lost}.`
            : `Topic ${name} accepts no more messages and is deleted after its last pending delivery is acked; --force deletes it now.`;
        return { document: { topic: { name, state, deadLettered } }, lines: [line] };
      }),
    );

const topicTable = (listed: readonly TopicView[]): string[] =>
  table(listed, {
    TOPIC: ({ name }) => name,
    STATE: ({ state }) => state,
    KEEPS: ({ retention }) => retentionText(retention),
    SUBSCRIBERS: ({ subscribers }) => subscribers.length,
    RETAINED: ({ retained }) => retained,
    PENDING: ({ pending }) => pending,
    OWNER: ({ owner }) => owner,
    CREATED: ({ createdAt }) => ago(createdAt),
  });

const topicOutput = ({ topic }: { readonly topic: TopicView }): Output => ({
  document: { topic },
  lines: [
    ...facts({
      topic: topic.name,
      state: topic.state,
      owner: topic.owner,
      keeps: `${retentionText(topic.retention)}, ${counted(topic.retained, 'message')} now`,
      pending: counted(topic.pending, 'delivery', 'deliveries'),
      publishers: accessText(topic.publish),
      subscribers: `${topic.subscribers.length} of ${topic.maxSubscribers}; allowed: ${accessText(topic.subscribe)}`,
      created: topic.createdAt,
    }),
    ...(topic.subscribers.length === 0 ? [] : ['', ...subscriberTable(topic.subscribers)]),
  ],
});

const subscriberTable = (subscribers: TopicView['subscribers']): string[] =>
  table(subscribers, {
    AGENT: ({ agentId }) => agentId,
    PATTERN: ({ pattern }) => pattern,
    GROUP: ({ queueGroup }) => queueGroup,
    STATE: ({ suspended }) => (suspended ? 'suspended: its lease has expired' : 'active'),
  });

export function parseRetention(text: string): Retention {
  const [keep, amount, more] = text.split(':');
  const number = /^\d{1,6}$/.test(amount ?? '') ? Number(amount) : undefined;
  if (more === undefined) {
    if ((keep === 'none' || keep === 'last') && amount === undefined) return { keep };
    if (keep === 'count' && number !== undefined) return { keep, count: number };
    if (keep === 'duration' && number !== undefined) return { keep, seconds: number };
  }
  throw new InvalidArgumentError('Allowed: none, last, count:20 or duration:3600 (seconds).');
}

function retentionText(retention: Retention): string {
  switch (retention.keep) {
    case 'none':
      return 'nothing';
    case 'last':
      return 'the last';
    case 'count':
      return `the last ${retention.count}`;
    case 'duration':
      return `${retention.seconds} s`;
  }
}

const clusterPrefix = 'cluster:';

/** An agent whose id begins with "cluster:" cannot be named here. */
export const parseAccess = (ids: readonly string[]): AccessList => ({
  agents: ids.filter((id) => !id.startsWith(clusterPrefix)),
  clusters: ids.filter((id) => id.startsWith(clusterPrefix)).map((id) => id.slice(clusterPrefix.length)),
});

function accessText(list: AccessList | null): string {
  if (list === null) return 'everyone';
  return [...list.agents, ...list.clusters.map((id) => `${clusterPrefix}${id}`)].join(' ') || 'operators only';
}
