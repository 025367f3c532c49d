import type { Address } from '../contracts/messages.js';
import type { Directory, RoutableTopic } from '../domain/communication/routing.js';
import {
  capableAgents,
  clustersOfAgents,
  findTopics,
  inboxLoads,
  openTables,
  subscriptionsTo,
  type RoutingTable,
  type CommunicationDb,
} from '../stores/communication/index.js';

const none: ReadonlyMap<string, never> = new Map<string, never>();

/**
 * Reads what routing to these addresses needs, and no more: messages to single agents need one query.
 * @param senders the agents among the senders; their clusters decide which agents they may reach.
 * @param draw 0 to 1, the start of the sample of a widespread capability.
 */
export async function readDirectory(
  db: CommunicationDb,
  addresses: readonly Address[],
  senders: readonly string[],
  draw: number,
): Promise<Directory> {
  const needed = needsOf(addresses);
  const agents = [...new Set([...senders, ...needed.agents])];
  const [tables, topics, clustersOfSome] = await Promise.all([
    readTables(db, needed),
    readTopics(db, needed.topics),
    agents.length > 0 ? clustersOfAgents(db, agents) : none,
  ]);
  const clustersOf = await withSubscribers(db, topics, clustersOfSome);
  const clusters = new Map(tables.map(({ clusterId, epoch, members }) => [clusterId, { epoch, members }]));
  const capabilities = await readCapabilities(db, addresses, { clusters, draw });
  const candidates = new Set([
    ...addresses.flatMap((to) => ('role' in to ? (clusters.get(to.cluster)?.members ?? []).map((m) => m.agentId) : [])),
    ...[...capabilities.values()].flat(),
    ...[...topics.values()].flatMap((topic) =>
      topic.subscriptions.filter(({ queueGroup }) => queueGroup !== null).map(({ agentId }) => agentId),
    ),
  ]);
  const inboxes = candidates.size > 0 ? await inboxLoads(db, [...candidates]) : [];
  return {
    clusters,
    topics,
    capabilities,
    clustersOf,
    agents: new Map(inboxes.map((inbox) => [inbox.agentId, inbox])),
  };
}

interface Needs {
  readonly agents: Set<string>;
  readonly clusters: Set<string>;
  readonly topics: Set<string>;
  isAllClusters: boolean;
}

function needsOf(addresses: readonly Address[]): Needs {
  const needs: Needs = { agents: new Set(), clusters: new Set(), topics: new Set(), isAllClusters: false };
  for (const to of addresses) {
    if ('agent' in to) needs.agents.add(to.agent);
    if ('topic' in to) needs.topics.add(to.topic);
    if ('cluster' in to && to.cluster !== undefined) needs.clusters.add(to.cluster);
    if ('clusters' in to) for (const id of to.clusters) needs.clusters.add(id);
    if ('allClusters' in to) needs.isAllClusters = true;
  }
  return needs;
}

async function readTables(db: CommunicationDb, { clusters, isAllClusters }: Needs): Promise<readonly RoutingTable[]> {
  if (isAllClusters) return openTables(db);
  return clusters.size > 0 ? openTables(db, [...clusters]) : [];
}

async function readTopics(
  db: CommunicationDb,
  names: ReadonlySet<string>,
): Promise<ReadonlyMap<string, RoutableTopic>> {
  if (names.size === 0) return none;
  const topics = await findTopics(db, [...names]);
  const subscriptions = await subscriptionsTo(
    db,
    topics.map(({ name }) => name),
  );
  return new Map(
    topics.map((row) => [
      row.name,
      {
        ...row,
        keeps: row.retention.keep !== 'none',
        subscriptions: subscriptions.filter(({ topic, suspended }) => topic === row.name && !suspended),
      },
    ]),
  );
}

/** Adds the clusters of subscribers, which decide whether they may read a topic that is restricted to clusters. */
async function withSubscribers(
  db: CommunicationDb,
  topics: ReadonlyMap<string, RoutableTopic>,
  known: Directory['clustersOf'],
): Promise<Directory['clustersOf']> {
  const listed = [...topics.values()].filter(({ subscribe }) => subscribe !== null && subscribe.clusters.length > 0);
  const subscribers = listed.flatMap(({ subscriptions }) => subscriptions.map(({ agentId }) => agentId));
  if (subscribers.length === 0) return known;
  return new Map([...known, ...(await clustersOfAgents(db, [...new Set(subscribers)]))]);
}

/** An address with a cluster reads that cluster's members only: a sample of the whole fleet could miss them. */
async function readCapabilities(
  db: CommunicationDb,
  addresses: readonly Address[],
  { clusters, draw }: { readonly clusters: Directory['clusters']; readonly draw: number },
): Promise<ReadonlyMap<string, readonly string[]>> {
  const asked = addresses.flatMap((to) => ('capability' in to ? [to] : []));
  if (asked.length === 0) return none;
  const anywhere = asked.filter(({ cluster }) => cluster === undefined);
  const inside = asked.filter(({ cluster }) => cluster !== undefined);
  const within = inside.flatMap(({ cluster = '' }) => clusters.get(cluster)?.members.map((m) => m.agentId) ?? []);
  const found = new Map<string, readonly string[]>();
  for (const [some, sample] of [
    [anywhere, { draw }],
    [inside, { draw: 0, within }],
  ] as const) {
    const names = [...new Set(some.map(({ capability }) => capability))];
    if (names.length === 0) continue;
    for (const [name, ids] of await capableAgents(db, names, sample)) {
      found.set(name, [...new Set([...(found.get(name) ?? []), ...ids])]);
    }
  }
  return found;
}
