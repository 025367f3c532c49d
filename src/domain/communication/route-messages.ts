import { leastOutstandingOfTwo } from './least-outstanding.js';
import type { Directory, Kind, RoutableMessage, Route, Sender } from './routing.js';
import { isTopicAllowed } from './topic-access.js';

/**
 * Routes messages in order. A choice among several agents counts the deliveries that earlier messages of the batch added.
 * Total and deterministic: every message gets a route or a refusal, and the same input gives the same result.
 */
export function routeMessages(messages: readonly RoutableMessage[], directory: Directory): Route[] {
  const given = new Map<string, number>();
  return messages.map((message) => {
    const route = routeOf(message, { ...directory, given });
    if (route.state === 'routed') {
      for (const { agentId } of route.recipients) given.set(agentId, (given.get(agentId) ?? 0) + 1);
    }
    return route;
  });
}

type Context = Directory & { readonly given: ReadonlyMap<string, number> };

function routeOf(message: RoutableMessage, context: Context): Route {
  const { to } = message;
  if ('agent' in to) return toAgent(message, to.agent, context);
  if ('topic' in to) return toTopic(message, to.topic, context);
  if ('role' in to) return toOneOf(message, { kind: 'role', name: to.role, cluster: to.cluster }, context);
  if ('capability' in to) {
    return toOneOf(message, { kind: 'capability', name: to.capability, cluster: to.cluster }, context);
  }
  if ('cluster' in to) return toClusters(message, 'cluster', [to.cluster], context);
  if ('clusters' in to) return toClusters(message, 'clusters', [...new Set(to.clusters)].sort(), context);
  return toClusters(message, 'clusters', [...context.clusters.keys()].sort(), context);
}

function toAgent({ sender }: RoutableMessage, agentId: string, { clustersOf }: Context): Route {
  const own = sender.agentId === null ? [] : (clustersOf.get(sender.agentId) ?? []);
  const theirs = clustersOf.get(agentId) ?? [];
  const shared = own.filter((id) => theirs.includes(id)).sort()[0];
  if (isLimitedToOwnClusters(sender) && shared === undefined && agentId !== sender.agentId) {
    return forbidden(`"${agentId}" shares no cluster with "${sender.agentId}"`);
  }
  return {
    ...emptyRoute('agent'),
    clusterId: shared ?? (sender.agentId === null && theirs.length === 1 ? (theirs[0] ?? null) : null),
    recipients: [{ agentId, via: 'agent' }],
    single: true,
  };
}

/** Routes to one of the agents that have a role in a cluster, or a capability. */
function toOneOf(
  { id, sender }: RoutableMessage,
  { kind, name, cluster }: { kind: 'role' | 'capability'; name: string; cluster: string | undefined },
  context: Context,
): Route {
  const table = cluster === undefined ? undefined : context.clusters.get(cluster);
  if (cluster === undefined) {
    if (isLimitedToOwnClusters(sender))
      return forbidden('an agent may address a capability only within one of its own clusters');
  } else {
    if (!table) return unknownCluster(kind, [cluster]);
    if (isLimitedToOwnClusters(sender) && !isMember(sender, cluster, context)) return notAMember(sender, cluster);
  }
  const able = kind === 'capability' ? new Set(context.capabilities.get(name)) : undefined;
  const holders = table
    ? table.members.filter(({ agentId, roles }) => able?.has(agentId) ?? roles.includes(name)).map(memberId)
    : [...(able ?? [])];
  const chosen = choose(
    holders.filter((agentId) => agentId !== sender.agentId),
    id,
    context,
  );
  return {
    ...emptyRoute(kind),
    clusterId: cluster ?? null,
    epoch: table?.epoch ?? null,
    epochs: cluster !== undefined && table ? { [cluster]: table.epoch } : {},
    recipients: chosen === undefined ? [] : [{ agentId: chosen, via: `${kind}:${name}` }],
    single: true,
    ...deadWhen(
      chosen === undefined,
      table
        ? `No other member of ${cluster} has the ${kind} "${name}" at epoch ${table.epoch}`
        : `No other agent has the capability "${name}"`,
    ),
  };
}

const memberId = ({ agentId }: { readonly agentId: string }): string => agentId;

function toClusters(
  { sender }: RoutableMessage,
  kind: 'cluster' | 'clusters',
  clusterIds: readonly string[],
  context: Context,
): Route {
  const unknown = clusterIds.filter((id) => !context.clusters.has(id));
  if (unknown.length > 0) return unknownCluster(kind, unknown);
  const strange = isLimitedToOwnClusters(sender) ? clusterIds.find((id) => !isMember(sender, id, context)) : undefined;
  if (strange !== undefined) return notAMember(sender, strange);
  const epochs: Record<string, number> = {};
  const recipients = new Set<string>();
  for (const id of clusterIds) {
    const table = context.clusters.get(id);
    if (!table) continue;
    epochs[id] = table.epoch;
    for (const { agentId } of table.members) if (agentId !== sender.agentId) recipients.add(agentId);
  }
  const [only] = clusterIds;
  return {
    ...emptyRoute(kind),
    clusterId: kind === 'cluster' ? (only ?? null) : null,
    epoch: kind === 'cluster' && only !== undefined ? (epochs[only] ?? null) : null,
    epochs,
    recipients: [...recipients].map((agentId) => ({ agentId, via: 'member' })),
    ...deadWhen(recipients.size === 0, 'The cluster has no other member'),
  };
}

function toTopic({ id, sender }: RoutableMessage, topic: string, context: Context): Route {
  const known = context.topics.get(topic);
  if (known?.state !== 'open') {
    const detail = known ? `Topic "${topic}" is being deleted` : `Topic "${topic}" does not exist; create it first`;
    return { ...emptyRoute('topic'), dead: { reason: 'unknown_topic', detail } };
  }
  if (!isTopicAllowed(known.publish, sender.agentId, context.clustersOf)) {
    return forbidden(`the topic "${topic}" does not list "${sender.agentId}" under publish`);
  }
  // Checked for each message: a wildcard subscription may be older than the topic and its access list.
  const subscriptions = known.subscriptions.filter(
    ({ agentId }) => agentId !== sender.agentId && isTopicAllowed(known.subscribe, agentId, context.clustersOf),
  );
  const plain = subscriptions.filter(({ queueGroup }) => queueGroup === null).map(({ agentId }) => agentId);
  const recipients = new Map(plain.map((agentId) => [agentId, 'subscriber']));
  const groups = [...new Set(subscriptions.flatMap(({ queueGroup }) => queueGroup ?? []))].sort();
  for (const group of groups) {
    const members = subscriptions.filter(({ queueGroup }) => queueGroup === group).map(({ agentId }) => agentId);
    const chosen = choose([...new Set(members)], `${id}\n${group}`, context);
    if (chosen && !recipients.has(chosen)) recipients.set(chosen, `group:${group}`);
  }
  return {
    ...emptyRoute('topic'),
    topic,
    retain: known.keeps,
    recipients: [...recipients].map(([agentId, via]) => ({ agentId, via })),
    ...deadWhen(recipients.size === 0 && !known.keeps, `Topic "${topic}" has no other subscriber`),
  };
}

function choose(agentIds: readonly string[], draw: string, { agents, given }: Context): string | undefined {
  const candidates = agentIds.flatMap((agentId) => {
    const known = agents.get(agentId);
    return known ? [{ ...known, open: known.open + (given.get(agentId) ?? 0) }] : [];
  });
  return leastOutstandingOfTwo(candidates, draw)?.agentId;
}

const deadWhen = (hasNoRecipient: boolean, detail: string) =>
  hasNoRecipient ? { dead: { reason: 'no_subscriber' as const, detail } } : {};

const emptyRoute = (kind: Kind) => ({
  state: 'routed' as const,
  kind,
  clusterId: null,
  epoch: null,
  epochs: {},
  recipients: [],
  single: false,
});

const isLimitedToOwnClusters = (sender: Sender): boolean => sender.agentId !== null && sender.reach === 'cluster';

const isMember = ({ agentId }: Sender, clusterId: string, { clusters }: Context): boolean =>
  clusters.get(clusterId)?.members.some((member) => member.agentId === agentId) ?? false;

const forbidden = (why: string): Route => ({
  state: 'refused',
  code: 'forbidden',
  detail: `Message not allowed: ${why}`,
});

const notAMember = ({ agentId }: Sender, clusterId: string): Route =>
  forbidden(`"${agentId}" is not a member of ${clusterId}`);

const unknownCluster = (kind: Kind, clusterIds: readonly string[]): Route => ({
  ...emptyRoute(kind),
  dead: {
    reason: 'unknown_cluster',
    detail: `No open cluster has the id ${clusterIds.map((id) => `"${id}"`).join(', ')}`,
  },
});
