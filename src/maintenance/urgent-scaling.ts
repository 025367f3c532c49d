import { hash } from 'node:crypto';
import { clustersBelowMinimum, hotClusters, queueAndRoom } from '../stores/clusters/index.js';
import type { ApiDeps } from '../http/deps.js';

/** Above it in two looks nobody waits for the interval. */
const urgentUsage = 0.95;
const clustersAtMost = 100;
/** A cluster is scaled for its urgency once in each stretch of this length: what could be done is under way or is refused. */
const againAfterMs = 120_000;

/**
 * What does not wait for an interval, looked for once a sample period: a cluster whose usage is above 0.95 in two looks is
 * scaled at once, one below its minimum repaired, and a formation that waits in the queue for all its members at once is
 * tried again when there is more room among the agents than there was. Any number of servers may look: a run's id is the
 * cluster's and the time's, so they start it once.
 */
export function urgentScaling({
  clusters,
  client,
  config,
}: Pick<ApiDeps, 'clusters' | 'client' | 'config'>): () => Promise<void> {
  let before = new Set<string>();
  let repairedAtMs = 0;
  let roomBefore = 0;
  return async () => {
    if (!config().capabilities.includes('scaling')) return;
    const hot = await hotClusters(clusters, { above: urgentUsage, limit: clustersAtMost });
    const twice = hot.filter((id) => before.has(id));
    before = new Set(hot);
    const slot = Math.floor(Date.now() / againAfterMs);
    for (const clusterId of twice) {
      const requestId = `op_urgent_${slot}_${hash('sha256', clusterId).slice(0, 32)}`;
      await client.startScaling({ requestId, clusterId, reason: 'usage above 0.95 twice' }, 'urgent-path');
    }
    const short = await clustersBelowMinimum(clusters, { graceSeconds: 2 * config().leaseSeconds, limit: 1 });
    const isShort = short.length > 0 && Date.now() >= repairedAtMs + againAfterMs;
    if (isShort) repairedAtMs = Date.now();
    const { waiting, room } = await queueAndRoom(clusters);
    const isServable = waiting > 0 && room > roomBefore;
    roomBefore = room;
    if (isShort || isServable) await client.schedules.trigger('formation');
  };
}
