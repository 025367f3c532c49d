import type { ErrorCode } from '../../contracts/errors.js';
import type { Address, DeadLetterReason } from '../../contracts/messages.js';
import type { AccessList } from '../../contracts/topics.js';
import { leastOutstandingOfTwo, type Candidate } from './least-outstanding.js';

/** What routes are found in: read at one moment, for the addresses at hand. */
export interface Directory {
  /** Open clusters by id; one that is closed or was never there is missing. */
  readonly clusters: ReadonlyMap<string, RoutingTable>;
  /** Those who could be chosen: members with a role, agents with a capability, members of queue groups. */
  readonly agents: ReadonlyMap<string, Candidate>;
  /** Agents that have a capability, a sample when there are many. */
  readonly capabilities: ReadonlyMap<string, readonly string[]>;
  readonly topics: ReadonlyMap<string, RoutableTopic>;
  /** The open clusters that an agent is a member of. */
  readonly clustersOf: ReadonlyMap<string, readonly string[]>;
}

export interface RoutingTable {
  readonly epoch: number;
  readonly members: readonly { readonly agentId: string; readonly roles: readonly string[] }[];
}

export interface RoutableTopic {
  readonly state: 'open' | 'draining';
  readonly keeps: boolean;
  readonly publish: AccessList | null;
  readonly subscribe: AccessList | null;
  readonly subscriptions: readonly { readonly agentId: string; readonly queueGroup: string | null }[];
}

export interface Sender {
  /** Null for operators and for the manager itself, whose mail goes everywhere. */
  readonly agentId: string | null;
  /** `cluster`: an agent reaches only those it shares a cluster with, and topics. */
  readonly reach: 'cluster' | 'fleet';
}

export interface RoutableMessage {
  readonly id: string;
  readonly sender: Sender;
  readonly to: Address;
}

export interface Recipient {
  readonly agentId: string;
  /** How it was found: `agent`, `member`, `subscriber`, `role:<role>`, `capability:<name>`, `group:<name>`. */
  readonly via: string;
}

export type Kind = 'agent' | 'role' | 'capability' | 'cluster' | 'clusters' | 'topic';

export type Route =
  | {
      readonly state: 'routed';
      readonly kind: Kind;
      readonly clusterId: string | null;
      readonly epoch: number | null;
      /** The epoch of each cluster whose table was used. */
      readonly epochs: Readonly<Record<string, number>>;
      readonly recipients: readonly Recipient[];
      /** Meant for one: when its mailbox is full the sender is told to wait. */
      readonly single: boolean;
      readonly topic?: string;
      readonly retain?: boolean;
      /** Matched nobody, and that is told as a dead letter. */
      readonly dead?: { readonly reason: DeadLetterReason; readonly detail: string };
    }
  | { readonly state: 'refused'; readonly code: ErrorCode; readonly detail: string };

/**
 * Finds the recipients of messages, in order: a choice among several counts what the messages before it were given.
 * Total and deterministic: every message gets a route or a reason, the same ones for the same input.
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
  if ('role' in to) return toRole(message, to, context);
  if ('capability' in to) return toCapability(message, to, context);
  if ('cluster' in to) return toClusters(message, 'cluster', [to.cluster], context);
  if ('clusters' in to) return toClusters(message, 'clusters', [...new Set(to.clusters)].sort(), context);
  return toClusters(message, 'clusters', [...context.clusters.keys()].sort(), context);
}

function toAgent({ sender }: RoutableMessage, agentId: string, { clustersOf }: Context): Route {
  const own = sender.agentId === null ? [] : (clustersOf.get(sender.agentId) ?? []);
  const theirs = clustersOf.get(agentId) ?? [];
  const shared = own.filter((id) => theirs.includes(id)).sort()[0];
  if (isOutOfReach(sender) && shared === undefined && agentId !== sender.agentId) {
    return forbidden(`"${agentId}" shares no cluster with "${sender.agentId}"`);
  }
  return {
    ...nobody('agent'),
    clusterId: shared ?? (sender.agentId === null && theirs.length === 1 ? (theirs[0] ?? null) : null),
    recipients: [{ agentId, via: 'agent' }],
    single: true,
  };
}

function toRole(
  { id, sender }: RoutableMessage,
  { role, cluster }: { readonly role: string; readonly cluster: string },
  context: Context,
): Route {
  const table = context.clusters.get(cluster);
  if (!table) return unknownCluster('role', [cluster]);
  if (isOutOfReach(sender) && !isMember(sender, cluster, context)) return notAMember(sender, cluster);
  const holders = table.members.filter(({ roles, agentId }) => roles.includes(role) && agentId !== sender.agentId);
  return toOneOf(
    { kind: 'role', via: `role:${role}`, clusterId: cluster, table, draw: id },
    holders.map(({ agentId }) => agentId),
    `No other member of ${cluster} has the role "${role}" at epoch ${table.epoch}`,
    context,
  );
}

function toCapability(
  { id, sender }: RoutableMessage,
  { capability, cluster }: { readonly capability: string; readonly cluster?: string | undefined },
  context: Context,
): Route {
  const able = (context.capabilities.get(capability) ?? []).filter((agentId) => agentId !== sender.agentId);
  if (cluster === undefined) {
    if (isOutOfReach(sender)) return forbidden('an agent may ask for a capability within a cluster of its own only');
    const plan = { kind: 'capability', via: `capability:${capability}`, clusterId: null, draw: id } as const;
    return toOneOf(plan, able, `No other agent has the capability "${capability}"`, context);
  }
  const table = context.clusters.get(cluster);
  if (!table) return unknownCluster('capability', [cluster]);
  if (isOutOfReach(sender) && !isMember(sender, cluster, context)) return notAMember(sender, cluster);
  const members = new Set(table.members.map(({ agentId }) => agentId));
  return toOneOf(
    { kind: 'capability', via: `capability:${capability}`, clusterId: cluster, table, draw: id },
    able.filter((agentId) => members.has(agentId)),
    `No other member of ${cluster} has the capability "${capability}" at epoch ${table.epoch}`,
    context,
  );
}

function toClusters(
  { sender }: RoutableMessage,
  kind: 'cluster' | 'clusters',
  clusterIds: readonly string[],
  context: Context,
): Route {
  const unknown = clusterIds.filter((id) => !context.clusters.has(id));
  if (unknown.length > 0) return unknownCluster(kind, unknown);
  const strange = isOutOfReach(sender) ? clusterIds.find((id) => !isMember(sender, id, context)) : undefined;
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
    ...nobody(kind),
    clusterId: kind === 'cluster' ? (only ?? null) : null,
    epoch: kind === 'cluster' && only !== undefined ? (epochs[only] ?? null) : null,
    epochs,
    recipients: [...recipients].map((agentId) => ({ agentId, via: 'member' })),
    ...(recipients.size === 0
      ? { dead: { reason: 'no_subscriber' as const, detail: 'There is no other member to take it' } }
      : {}),
  };
}

function toTopic({ id, sender }: RoutableMessage, topic: string, context: Context): Route {
  const known = context.topics.get(topic);
  if (known?.state !== 'open') {
    const detail = known ? `The topic "${topic}" is being deleted` : `There is no topic "${topic}"; create it first`;
    return { ...nobody('topic'), dead: { reason: 'unknown_topic', detail } };
  }
  if (!mayUseTopic(known.publish, sender.agentId, context.clustersOf)) {
    return forbidden(`the topic "${topic}" does not list "${sender.agentId}" under publish`);
  }
  // Asked at each message: a pattern with wildcards may be older than the topic it takes.
  const subscriptions = known.subscriptions.filter(
    ({ agentId }) => agentId !== sender.agentId && mayUseTopic(known.subscribe, agentId, context.clustersOf),
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
    ...nobody('topic'),
    topic,
    retain: known.keeps,
    recipients: [...recipients].map(([agentId, via]) => ({ agentId, via })),
    ...(recipients.size === 0 && !known.keeps
      ? { dead: { reason: 'no_subscriber' as const, detail: `Nobody else is subscribed to "${topic}"` } }
      : {}),
  };
}

function toOneOf(
  plan: {
    readonly kind: Kind;
    readonly via: string;
    readonly clusterId: string | null;
    readonly table?: RoutingTable;
    readonly draw: string;
  },
  agentIds: readonly string[],
  nobodyDetail: string,
  context: Context,
): Route {
  const chosen = choose(agentIds, plan.draw, context);
  return {
    ...nobody(plan.kind),
    clusterId: plan.clusterId,
    epoch: plan.table?.epoch ?? null,
    epochs: plan.clusterId !== null && plan.table ? { [plan.clusterId]: plan.table.epoch } : {},
    recipients: chosen === undefined ? [] : [{ agentId: chosen, via: plan.via }],
    single: true,
    ...(chosen === undefined ? { dead: { reason: 'no_subscriber' as const, detail: nobodyDetail } } : {}),
  };
}

function choose(agentIds: readonly string[], draw: string, { agents, given }: Context): string | undefined {
  const candidates = agentIds.flatMap((agentId) => {
    const known = agents.get(agentId);
    return known ? [{ ...known, open: known.open + (given.get(agentId) ?? 0) }] : [];
  });
  return leastOutstandingOfTwo(candidates, draw)?.agentId;
}

const nobody = (kind: Kind) => ({
  state: 'routed' as const,
  kind,
  clusterId: null,
  epoch: null,
  epochs: {},
  recipients: [],
  single: false,
});

const isOutOfReach = (sender: Sender): boolean => sender.agentId !== null && sender.reach === 'cluster';

const isMember = ({ agentId }: Sender, clusterId: string, { clusters }: Context): boolean =>
  clusters.get(clusterId)?.members.some((member) => member.agentId === agentId) ?? false;

/** Whether a topic's list lets an agent; who is no agent always may, and a missing list is open to all. */
export const mayUseTopic = (
  list: AccessList | null,
  agentId: string | null,
  clustersOf: ReadonlyMap<string, readonly string[]>,
): boolean =>
  list === null ||
  agentId === null ||
  list.agents.includes(agentId) ||
  (clustersOf.get(agentId) ?? []).some((id) => list.clusters.includes(id));

const forbidden = (why: string): Route => ({
  state: 'refused',
  code: 'forbidden',
  detail: `This message may not be sent: ${why}`,
});

const notAMember = ({ agentId }: Sender, clusterId: string): Route =>
  forbidden(`"${agentId}" is not a member of ${clusterId}`);

const unknownCluster = (kind: Kind, clusterIds: readonly string[]): Route => ({
  ...nobody(kind),
  dead: {
    reason: 'unknown_cluster',
    detail: `There is no open cluster ${clusterIds.map((id) => `"${id}"`).join(', ')}`,
  },
});
