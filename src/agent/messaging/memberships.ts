import { membershipData } from '../../contracts/inbox.js';
import type { ClusterView } from '../../contracts/clusters.js';
import type { MessageView } from '../../contracts/inbox.js';

/** A cluster as one of its members knows it. */
export interface KnownCluster {
  readonly id: string;
  readonly name: string | null;
  /** Rises with every change of membership; information with a lower epoch is outdated. */
  readonly epoch: number;
  readonly coordinator: string | null;
  readonly members: readonly { readonly agentId: string; readonly roles: readonly string[] }[];
}

type MembershipChange = 'joined' | 'changed' | 'left' | 'none';

export type Memberships = ReturnType<typeof createMemberships>;

/** The clusters that this agent knows it is a member of. */
export function createMemberships(agentId: string, nowMs: () => number) {
  const known = new Map<string, { readonly cluster: KnownCluster; readonly appliedAtMs: number }>();
  return {
    all: (): readonly KnownCluster[] => [...known.values()].map(({ cluster }) => cluster),
    /** Updates a cluster unless this or a newer epoch of it is known. */
    apply: (cluster: KnownCluster): MembershipChange => {
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

export const clusterOfView = ({ id, name, epoch, coordinator, members }: ClusterView): KnownCluster => ({
  id,
  name,
  epoch,
  coordinator,
  members: members.filter(({ state }) => state === 'active').map(({ agentId, roles }) => ({ agentId, roles })),
});
