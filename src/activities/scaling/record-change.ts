import { recordChange } from '../../stores/resources/index.js';
import type { ActivityDeps } from '../deps.js';
import type { AdjustClusterInput } from './adjust-cluster.js';

/** Who joined or left in a round, as its step saved it, with what the flap budget asks about it. */
export interface CommittedChange extends Pick<AdjustClusterInput, 'cause' | 'charged'> {
  readonly joined: readonly string[];
  readonly left: readonly string[];
  readonly epoch: number;
}

/** Notes what the next decisions look back on, once for each direction of a round. */
export async function recordCommittedChange(
  { resources }: Pick<ActivityDeps, 'resources'>,
  { operationId, clusterId, round }: Pick<AdjustClusterInput, 'operationId' | 'clusterId' | 'round'>,
  { joined, left, cause, charged }: Omit<CommittedChange, 'epoch'>,
): Promise<void> {
  for (const [direction, ids] of [
    ['out', joined],
    ['in', left],
  ] as const) {
    if (ids.length === 0) continue;
    await recordChange(resources, {
      id: `${operationId}.${round}.${direction}`,
      clusterId,
      operationId,
      atMs: Date.now(),
      direction,
      members: ids.length,
      charged: Math.min(charged, ids.length),
      cause,
    });
  }
}
