import { executeChild, ParentClosePolicy, uuid4 } from '@temporalio/workflow';
import type { AssessedPage } from '../activities/scaling/scaling-interval.js';
import { workflowIds } from '../contracts/ids.js';
import type { ScaleClusterInput } from '../contracts/workflow-inputs.js';
import { failureMessageOf } from './interval-report.js';
import { scaleCluster } from './scaling.js';

export type Move = AssessedPage['moves'][number];

export interface MoveResult {
  readonly isDone: boolean;
  readonly summary: string;
}

export const plannedMove = ({ giver, taker }: Move): MoveResult => ({
  isDone: true,
  summary: `the higher usage falls from ${Math.max(giver.before, taker.before)} to ${Math.max(giver.after, taker.after)}`,
});

/** Moves a member: one cluster shrinks by it, then another grows by one. The result says where a move stopped, and why. */
export async function moveMember(move: Move): Promise<MoveResult> {
  const { from, to, giverSize, takerSize, agentId } = move;
  const reason = `rebalancing: ${agentId} from ${from} to ${to}`;
  const staticSummary = `Rebalance: ${agentId.slice(0, 100)} from ${from.slice(0, 100)}`;
  const request = { soakSeconds: 0, grantSeconds: 0, reason };
  const given = await scale({ ...request, clusterId: from, desired: giverSize - 1, release: [agentId] }, staticSummary);
  if (!given.isDone) return { isDone: false, summary: `did not leave ${from}: ${given.why}` };
  const taken = await scale({ ...request, clusterId: to, desired: takerSize + 1 }, staticSummary);
  if (taken.joined.includes(agentId)) return plannedMove(move);
  const summary = taken.isDone
    ? `left ${from}; ${taken.joined.join(', ')} joined ${to} in its place`
    : `left ${from} and did not join ${to}: ${taken.why}`;
  return { isDone: false, summary };
}

async function scale(request: Omit<ScaleClusterInput, 'requestId'>, staticSummary: string) {
  const operationId = `op_${uuid4()}`;
  try {
    const { outcome, joined, explanation, verdict } = await executeChild(scaleCluster, {
      workflowId: workflowIds.scaling(operationId),
      args: [{ ...request, requestId: operationId }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary,
    });
    return { isDone: outcome === 'scaled', joined, why: `${explanation} ${verdict}` };
  } catch (error) {
    return { isDone: false, joined: [], why: failureMessageOf(error) };
  }
}
