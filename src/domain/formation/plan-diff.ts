import { byText } from '../order.js';

/** The changes that the formation interval would make. A cluster is either `unchanged` or has joins and leaves. */
export interface PlanDiff {
  readonly joins: readonly {
    readonly clusterId: string;
    readonly agentId: string;
    readonly roles: readonly string[];
  }[];
  /** `reason` is readable text: `lease expired 43 s ago`. */
  readonly leaves: readonly { readonly clusterId: string; readonly agentId: string; readonly reason: string }[];
  readonly unchanged: readonly string[];
  /** Queued formations in order of arrival. `blockedBy` says what is missing; null when the formation can proceed. */
  readonly queue: readonly { readonly operationId: string; readonly blockedBy: string | null }[];
  /** Clusters below their minimum that cannot be repaired now. */
  readonly unrepairable: readonly { readonly clusterId: string; readonly reason: string }[];
  readonly releases: readonly { readonly agentId: string; readonly operationId: string }[];
}

/**
 * Formats a plan as a diff for `--dry-run`: `-` leaves, `+` joins, `!` cannot be repaired, `~` queue and reservations,
 * `=` unchanged. Clusters are sorted by id, so that equal plans give equal text.
 * @returns one line for each change, or one line that says nothing changes.
 */
export const describePlan = (diff: PlanDiff): string[] => {
  const clusters = [
    ...diff.leaves.map((leave) => [leave.clusterId, `- ${leave.agentId} leaves ${leave.clusterId} (${leave.reason})`]),
    ...diff.joins.map(({ clusterId, agentId, roles }) => [
      clusterId,
      `+ ${agentId} joins ${clusterId}${roles.length > 0 ? ` as ${roles.join(', ')}` : ''}`,
    ]),
    ...diff.unrepairable.map(({ clusterId, reason }) => [clusterId, `! ${clusterId} cannot be repaired: ${reason}`]),
    ...diff.unchanged.map((clusterId) => [clusterId, `= ${clusterId} unchanged`]),
  ] as [string, string][];
  clusters.sort(([a], [b]) => byText(a, b));
  const lines = [
    ...clusters.map(([, line]) => line),
    ...diff.releases.map(
      ({ agentId, operationId }) => `~ reservation of ${agentId} by ${operationId} has expired and is released`,
    ),
    ...diff.queue.map(
      ({ operationId, blockedBy }) =>
        `~ queue: ${operationId} ${blockedBy === null ? 'can be served now' : `waits on: ${blockedBy}`}`,
    ),
  ];
  return lines.length > 0 ? lines : ['= nothing to change'];
};
