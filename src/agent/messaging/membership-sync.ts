import { managerMessageTypes, type MessageView } from '../../contracts/inbox.js';
import type { AgentCall } from '../connection/agent-api.js';
import type { AgentContext } from '../context.js';
import { asError, hasCode } from '../errors.js';
import type { LeftReason } from '../events.js';
import { clusterOfMessage, clusterOfView, type KnownCluster, type Memberships } from './memberships.js';

const { joined, changed, dissolved } = managerMessageTypes;

export type MembershipSync = ReturnType<typeof createMembershipSync>;

/** Keeps the list of this agent's clusters up to date and emits the events about it. */
export function createMembershipSync({ api, events, logger }: AgentContext, memberships: Memberships) {
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
      const view = await api.cluster(call, clusterId);
      if (view.state === 'active') apply(clusterOfView(view));
    } catch (error) {
      if (call.signal.aborted || hasCode(error, 'not_found')) return;
      logger.warn({ clusterId, err: error }, 'cluster could not be read');
      events.emit('error', asError(error));
    }
  };
  return {
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
