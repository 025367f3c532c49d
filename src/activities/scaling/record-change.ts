import type { RoundIds } from '../../contracts/ids.js';
import type { Change } from '../../domain/scaling/types.js';
import { recordChange, type ResourcesDb } from '../../stores/resources/index.js';

/** The members that joined or left in a round, as its step saved it, with what the flap budget needs to know. */
export interface CommittedChange {
  readonly joined: readonly string[];
  readonly left: readonly string[];
  readonly epoch: number;
  readonly cause: Change['cause'];
  /** How many of the joining or departing members count against the flap budget. */
  readonly charged: number;
}

/** Records a change for later decisions, once for each direction of a round. */
export async function recordCommittedChange(
  resources: ResourcesDb,
  { operationId, clusterId, round }: RoundIds,
  { joined, left, cause, charged }: Omit<CommittedChange, 'epoch'>,
): Promise<void> {
  for (const [direction, members] of [
    ['out', joined.length],
    ['in', left.length],
  ] as const) {
    if (members === 0) continue;
    await recordChange(resources, {
      id: `${operationId}.${round}.${direction}`,
      clusterId,
      operationId,
      atMs: Date.now(),
      direction,
      members,
      charged: Math.min(charged, members),
      cause,
    });
  }
}
