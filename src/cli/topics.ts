import { InvalidArgumentError, type Command } from 'commander';
import type { AccessList, Retention, TopicView } from '../contracts/topics.js';
import { collect, wholeNumber } from './arguments.js';
import { connect } from './connection.js';
import { ago, counted, facts, show, table } from './output.js';
import { limitOption, moreLine, readPages } from './pages.js';

interface NewTopicOptions {
  readonly keep?: Retention;
  readonly publisher?: string[];
  readonly subscriber?: string[];
  readonly maxSubscribers?: number;
}

export function define(command: Command): void {
  command
    .command('list')
    .description('topics by name')
    .option(...limitOption)
    .action(list);
  command.command('show <name>').description('one topic').action(showOne);
  command.command('subscribers <name>').description('who gets what is published to a topic').action(subscribers);
  command
    .command('create <name>')
    .description('make a topic; the same again changes nothing')
    .option('--keep <rule>', 'none, last, count:20 or duration:3600 (seconds): what later subscribers get', retentionOf)
    .option('--publisher <who>', "who alone may publish: an agent's id or cluster:<id>; may be repeated", collect)
    .option('--subscriber <who>', "who alone may subscribe: an agent's id or cluster:<id>; may be repeated", collect)
    .option('--max-subscribers <count>', 'how many at most', wholeNumber(1, 100_000))
    .action(create);
  command
    .command('delete <name>')
    .description('end a topic when what is on its way has arrived')
    .option('--force', 'at once: what is on its way becomes dead letters')
    .action(remove);
}

async function list({ limit }: { readonly limit: number }, command: Command): Promise<void> {
  const api = connect(command);
  const { items, more } = await readPages(limit, async (query) => {
    const { topics, nextCursor } = await api.topics(query);
    return { items: topics, nextCursor };
  });
  const rows = items.map((topic) => [
    topic.name,
    topic.state,
    keepText(topic.retention),
    String(topic.subscribers.length),
    String(topic.retained),
    String(topic.pending),
    topic.owner,
    ago(topic.createdAt),
  ]);
  const headings = ['TOPIC', 'STATE', 'KEEPS', 'SUBSCRIBERS', 'KEPT', 'ON ITS WAY', 'OWNER', 'CREATED'];
  const lines = rows.length === 0 ? ['No topics.'] : table(headings, rows);
  show(command, { topics: items.map(documentOf), more }, [...lines, ...moreLine('topics', limit, more)]);
}

async function showOne(name: string, _options: object, command: Command): Promise<void> {
  tell(command, await connect(command).topic(name));
}

async function subscribers(name: string, _options: object, command: Command): Promise<void> {
  const topic = await connect(command).topic(name);
  const lines = topic.subscribers.length === 0 ? [`Nobody subscribes to ${name}.`] : subscriberTable(topic);
  show(command, { subscribers: topic.subscribers }, lines);
}

async function create(name: string, options: NewTopicOptions, command: Command): Promise<void> {
  const { keep, publisher, subscriber, maxSubscribers } = options;
  const topic = await connect(command).createTopic({
    name,
    ...(keep ? { retention: keep } : {}),
    ...(publisher ? { publish: accessOf(publisher) } : {}),
    ...(subscriber ? { subscribe: accessOf(subscriber) } : {}),
    ...(maxSubscribers === undefined ? {} : { maxSubscribers }),
  });
  tell(command, topic);
}

async function remove(name: string, { force }: { readonly force?: true }, command: Command): Promise<void> {
  const deleted = await connect(command).deleteTopic(name, force ? 'force' : 'drain');
  const { state, deadLettered } = deleted;
  const lost = deadLettered === 0 ? '' : `, ${counted(deadLettered, 'dead letter')}`;
  show(command, { topic: { name, state, deadLettered } }, [
    state === 'deleted'
      ? `Topic ${name} is deleted${lost}.`
      : `Topic ${name} takes no more messages and is gone when the last one on its way was acked; --force ends it now.`,
  ]);
}

function tell(command: Command, topic: TopicView): void {
  show(command, { topic: documentOf(topic) }, [
    ...facts([
      ['topic', topic.name],
      ['state', topic.state],
      ['owner', topic.owner],
      ['keeps', `${keepText(topic.retention)}, ${counted(topic.retained, 'message')} now`],
      ['on its way', counted(topic.pending, 'delivery').replace(/ys$/, 'ies')],
      ['publishers', accessText(topic.publish)],
      ['subscribers', `${topic.subscribers.length} of ${topic.maxSubscribers}; may be: ${accessText(topic.subscribe)}`],
      ['created', topic.createdAt],
    ]),
    ...(topic.subscribers.length === 0 ? [] : ['', ...subscriberTable(topic)]),
  ]);
}

const subscriberTable = ({ subscribers: who }: TopicView): string[] =>
  table(
    ['AGENT', 'PATTERN', 'GROUP', 'STATE'],
    who.map(({ agentId, pattern, queueGroup, suspended }) => [
      agentId,
      pattern,
      queueGroup ?? '',
      suspended ? 'suspended: its lease has lapsed' : 'active',
    ]),
  );

export function retentionOf(text: string): Retention {
  const [keep, amount, more] = text.split(':');
  const number = /^\d{1,6}$/.test(amount ?? '') ? Number(amount) : undefined;
  if (more === undefined) {
    if ((keep === 'none' || keep === 'last') && amount === undefined) return { keep };
    if (keep === 'count' && number !== undefined) return { keep, count: number };
    if (keep === 'duration' && number !== undefined) return { keep, seconds: number };
  }
  throw new InvalidArgumentError('Allowed: none, last, count:20 or duration:3600 (seconds).');
}

function keepText(retention: Retention): string {
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

/** An agent's id may hold a colon; one that begins with "cluster:" cannot be named here. */
export const accessOf = (who: readonly string[]): AccessList => ({
  agents: who.filter((one) => !one.startsWith(clusterPrefix)),
  clusters: who.filter((one) => one.startsWith(clusterPrefix)).map((one) => one.slice(clusterPrefix.length)),
});

const accessText = (list: AccessList | null): string =>
  list === null
    ? 'everybody'
    : [...list.agents, ...list.clusters.map((id) => `${clusterPrefix}${id}`)].join(' ') || 'operators only';

/** The command's own shape. */
const documentOf = (topic: TopicView) => ({
  name: topic.name,
  owner: topic.owner,
  state: topic.state,
  retention: topic.retention,
  publish: topic.publish,
  subscribe: topic.subscribe,
  maxSubscribers: topic.maxSubscribers,
  subscribers: topic.subscribers,
  retained: topic.retained,
  pending: topic.pending,
  createdAt: topic.createdAt,
});
