import { membershipData } from '../contracts/api-answers.js';
import type { ClusterView } from '../contracts/clusters.js';
import type { MessageView } from '../contracts/inbox.js';

/** A cluster as one of its members knows it. */
export interface KnownCluster {
  readonly id: string;
  readonly name: string | null;
  /** Rises with every change of membership; a message of a lower epoch is old news. */
  readonly epoch: number;
  readonly coordinator: string | null;
  readonly members: readonly { readonly agentId: string; readonly roles: readonly string[] }[];
}

export type Change = 'joined' | 'changed' | 'left' | 'none';

export interface Memberships {
  all(): readonly KnownCluster[];
  get(clusterId: string): KnownCluster | undefined;
  /** Takes in what the manager says of a cluster, unless something newer is known. */
  apply(cluster: KnownCluster): Change;
  drop(clusterId: string): boolean;
  /**
   * Compares with the epochs that a heartbeat was answered with.
   * @param askedAtMs when the heartbeat was sent: what was learnt after that is newer than the answer.
   * @returns clusters that are unknown or newer there, and those that this agent is no longer a member of.
   */
  compare(
    epochs: Readonly<Record<string, number>>,
    askedAtMs: number,
  ): { readonly behind: string[]; readonly gone: string[] };
}

export function createMemberships(agentId: string, nowMs: () => number): Memberships {
  const known = new Map<string, KnownCluster & { readonly learntAtMs: number }>();
  return {
    all: () => [...known.values()].map(({ learntAtMs: _learntAtMs, ...cluster }) => cluster),
    get: (clusterId) => known.get(clusterId),
    apply: (cluster) => {
      const before = known.get(cluster.id);
      if (before && before.epoch >= cluster.epoch) return 'none';
      if (!cluster.members.some((member) => member.agentId === agentId)) {
        return known.delete(cluster.id) ? 'left' : 'none';
      }
      known.set(cluster.id, { ...cluster, learntAtMs: nowMs() });
      return before ? 'changed' : 'joined';
    },
    drop: (clusterId) => known.delete(clusterId),
    compare: (epochs, askedAtMs) => ({
      behind: Object.entries(epochs)
        .filter(([id, epoch]) => (known.get(id)?.epoch ?? -1) < epoch)
        .map(([id]) => id),
      gone: [...known.values()]
        .filter((cluster) => cluster.learntAtMs < askedAtMs && !Object.hasOwn(epochs, cluster.id))
        .map((cluster) => cluster.id),
    }),
  };
}

/** The cluster that a `cluster.joined` or `cluster.changed` message tells of; undefined when it does not tell it whole. */
export function clusterOfMessage(message: MessageView): KnownCluster | undefined {
  const data = membershipData.safeParse(message.data);
  if (!data.success || message.clusterId === null || message.epoch === null) return undefined;
  const { name, coordinator, members } = data.data;
  return {
    id: message.clusterId,
    name: name ?? null,
    epoch: message.epoch,
    coordinator: coordinator ?? null,
    members,
  };
}

export const clusterOfView = (view: ClusterView): KnownCluster => ({
  id: view.id,
  name: view.name,
  epoch: view.epoch,
  coordinator: view.coordinator,
  members: view.members.filter((member) => member.state === 'active').map(({ agentId, roles }) => ({ agentId, roles })),
});
