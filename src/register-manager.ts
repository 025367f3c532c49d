import type { ManagerConfig } from './config/index.js';
import { appendEvent, insertToken, inTransaction, type ClustersDb } from './stores/clusters/index.js';

/** The manager registers itself, as the specification's `initialize()` asks: the first tokens, and an event with its capabilities. */
export async function registerManager(
  clusters: ClustersDb,
  { adminToken, enrolmentToken, id, name, capabilities, relationships }: ManagerConfig,
  serverId: string,
): Promise<void> {
  await inTransaction(clusters, async (tx) => {
    if (adminToken) await insertToken(tx, adminToken, { role: 'admin', name: 'bootstrap admin' });
    if (enrolmentToken) await insertToken(tx, enrolmentToken, { role: 'agent', name: 'bootstrap enrolment' });
    await appendEvent(tx, {
      id: `manager.registered:${serverId}`,
      type: 'manager.registered',
      subject: id,
      data: { id, name, serverId, capabilities, relationships },
    });
  });
}
