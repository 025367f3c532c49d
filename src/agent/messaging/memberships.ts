import type { ClusterView } from '../../contracts/clusters.js';
import { managerMessageTypes, membershipData, type MessageView } from '../../contracts/inbox.js';
import type { AgentCall } from '../connection/agent-api.js';
import type { AgentContext } from '../context.js';
import { asError, hasCode } from '../errors.js';
import type { KnownCluster, LeftReason } from '../events.js';

const { joined, changed, dissolved } = managerMessageTypes;

/** The clusters that this agent knows it is a member of. */
export function createMemberships(agentId: string, nowMs: () => number) {
  const known = new Map<string, { readonly cluster: KnownCluster; readonly appliedAtMs: number }>();
  return {
    all: (): readonly KnownCluster[] => [...known.values()].map(({ cluster }) => cluster),
    /** Updates a cluster unless this or a newer epoch of it is known. */
    apply: (cluster: KnownCluster): 'joined' | 'changed' | 'left' | 'none' => {
      const before = known.get(cluster.id)?.cluster;
      if (before && before.epoch >= cluster.epoch) return 'none';
      if (!cluster.members.some((member) => member.agentId === agentId)) {
        return known.delete(cluster.id) ? 'left' : 'none';
      }
      known.set(cluster.id, { cluster, appliedAtMs: nowMs() });
      return before ? 'changed' : 'joined';
    },
    /** @returns whether the cluster was known. */
    remove: (clusterId: string): boolean => known.delete(clusterId),
    /**
     * Compares with the epochs in a heartbeat's answer.
     * @param sentAtMs when the heartbeat was sent: what was applied after that is newer than the answer.
     * @returns clusters that are unknown here or have a newer epoch there, and clusters that the answer no longer lists.
     */
    compare: (epochs: Readonly<Record<string, number>>, sentAtMs: number) => ({
      outdated: Object.entries(epochs)
        .filter(([id, epoch]) => (known.get(id)?.cluster.epoch ?? -1) < epoch)
        .map(([id]) => id),
      gone: [...known.values()]
        .filter(({ cluster, appliedAtMs }) => appliedAtMs < sentAtMs && !Object.hasOwn(epochs, cluster.id))
        .map(({ cluster }) => cluster.id),
    }),
  };
}

/** The cluster in a `cluster.joined` or `cluster.changed` message; undefined when the message is incomplete. */
export function clusterOfMessage({ clusterId, epoch, data }: MessageView): KnownCluster | undefined {
  const parsed = membershipData.safeParse(data);
  if (!parsed.success || clusterId === null || epoch === null) return undefined;
  const { name, coordinator, members } = parsed.data;
  return { id: clusterId, name: name ?? null, epoch, coordinator: coordinator ?? null, members };
}

const clusterOfView = ({ id, name, epoch, coordinator, members }: ClusterView): KnownCluster => ({
  id,
  name,
  epoch,
  coordinator,
  members: members.filter(({ state }) => state === 'active').map(({ agentId, roles }) => ({ agentId, roles })),
});

export type MembershipSync = ReturnType<typeof createMembershipSync>;

/** Keeps the list of this agent's clusters up to date and emits the events about it. */
export function createMembershipSync({ agentId, api, events, logger, nowMs }: AgentContext) {
  const memberships = createMemberships(agentId, nowMs);
  const apply = (cluster: KnownCluster): void => {
    const change = memberships.apply(cluster);
    if (change === 'joined' || change === 'changed') events.emit(change, { cluster });
    if (change === 'left') events.emit('left', { clusterId: cluster.id, reason: 'removed' });
  };
  const remove = (clusterId: string, reason: LeftReason): void => {
    if (memberships.remove(clusterId)) events.emit('left', { clusterId, reason });
  };
  const fetchCluster = async (clusterId: string, call: AgentCall): Promise<void> => {
    try {
      const { cluster } = await api.request('getCluster', { params: { id: clusterId } }, call);
      if (cluster.state === 'active') apply(clusterOfView(cluster));
    } catch (error) {
      if (call.signal.aborted || hasCode(error, 'not_found')) return;
      logger.warn({ clusterId, err: error }, 'cluster could not be read');
      events.emit('error', asError(error));
    }
  };
  return {
    clusters: memberships.all,
    /** Applies what a message of the manager says about a cluster; ignores other messages. */
    onMessage: async (message: MessageView, call: AgentCall): Promise<void> => {
      const { clusterId, type } = message;
      if (clusterId === null) return;
      if (type === dissolved) return remove(clusterId, 'dissolved');
      if (type !== joined && type !== changed) return;
      const cluster = clusterOfMessage(message);
      if (cluster) apply(cluster);
      else await fetchCluster(clusterId, call);
    },
    /** Applies the epochs in a heartbeat's answer: a message may be missed, or was delivered to an earlier process. */
    onEpochs: async (epochs: Readonly<Record<string, number>>, sentAtMs: number, call: AgentCall): Promise<void> => {
      const { outdated, gone } = memberships.compare(epochs, sentAtMs);
      for (const clusterId of gone) remove(clusterId, 'missed');
      for (const clusterId of outdated) await fetchCluster(clusterId, call);
    },
  };
}
