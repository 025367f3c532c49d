import { hash } from 'node:crypto';
import { defaultScalingRules } from '../domain/scaling/rules.js';
import { clustersBelowMinimum, hotClusters, queueAndRoom } from '../stores/clusters/index.js';
import type { MaintenanceDeps } from './deps.js';

type Deps = Pick<MaintenanceDeps, 'clusters' | 'client' | 'config'>;

const { urgentUsage } = defaultScalingRules;
const maxClusters = 100;
/** A cluster is scaled at most once in each slot of this length, and the formation interval triggered for repairs. */
const slotMs = 120_000;

/**
 * Starts what cannot wait for an interval. Scales clusters whose usage was above `urgentUsage` in two consecutive runs. Triggers
 * the formation interval when a cluster is below its minimum, or when a formation is queued and agents have more room
 * than in the run before. Servers may run it at the same time: the id of a scaling is derived from the cluster and the
 * time slot, so that it starts once.
 */
export function urgentScaling(deps: Deps): () => Promise<void> {
  const scaleHotClusters = hotClusterScaling(deps);
  const isRepairDue = repairCheck(deps);
  const isQueueServable = queueCheck(deps);
  return async () => {
    if (!deps.config().capabilities.includes('scaling')) return;
    await scaleHotClusters();
    const [isRepair, isServable] = [await isRepairDue(), await isQueueServable()];
    if (isRepair || isServable) await deps.client.schedules.trigger('formation');
  };
}

function hotClusterScaling({ clusters, client }: Deps): () => Promise<void> {
  let hotBefore = new Set<string>();
  return async () => {
    const hot = await hotClusters(clusters, { above: urgentUsage, limit: maxClusters });
    const hotTwice = hot.filter((id) => hotBefore.has(id));
    hotBefore = new Set(hot);
    const slot = Math.floor(Date.now() / slotMs);
    for (const clusterId of hotTwice) {
      const requestId = `op_urgent_${slot}_${hash('sha256', clusterId).slice(0, 32)}`;
      await client.startScaling({ requestId, clusterId, reason: `usage above ${urgentUsage} twice` }, 'urgent-scaling');
    }
  };
}

function repairCheck({ clusters, config }: Deps): () => Promise<boolean> {
  let triggeredAtMs = 0;
  return async () => {
    const below = await clustersBelowMinimum(clusters, { graceSeconds: 2 * config().leaseSeconds, limit: 1 });
    const isDue = below.length > 0 && Date.now() >= triggeredAtMs + slotMs;
    if (isDue) triggeredAtMs = Date.now();
    return isDue;
  };
}

function queueCheck({ clusters }: Deps): () => Promise<boolean> {
  let roomBefore = 0;
  return async () => {
    const { waiting, room } = await queueAndRoom(clusters);
    const isServable = waiting > 0 && room > roomBefore;
    roomBefore = room;
    return isServable;
  };
}
