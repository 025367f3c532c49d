import type { OperationIds } from '../../contracts/ids.js';
import {
  requireStepResult,
  saveStep,
  unfinished,
  type ClustersDb,
  type OpenStep,
} from '../../stores/clusters/index.js';
import type { FormationDeps } from '../deps.js';
import { thisAttempt } from '../shared/as-activity.js';
import { connectMembers, type Connections } from './connect-members.js';
import { openInboxes, sendInvitations } from './invite.js';
import type { FormationPlan } from './plan.js';

/**
 * Step 3 of form_cluster: opens inboxes, invites agents that want to be asked, replaces those that decline or do not answer
 * by the next alternate, and links the members. Called again after each answer or time-out until done.
 * @throws `InvitationsDeclined` when those who accepted cannot be the cluster asked for.
 */
export async function establishConnections(deps: FormationDeps, { operationId }: OperationIds): Promise<Connections> {
  const { clusters, settings } = deps;
  const plan = await requireStepResult<FormationPlan>(clusters, { operationId, step: 'identifyAgents' });
  await openInboxes(deps, plan);
  const key = { operationId, step: 'establishConnections', round: 0 };
  const work = async (tx: ClustersDb, { members }: OpenStep) => {
    const connections = await connectMembers(tx, { plan, operationId, settings }, members);
    return connections.waitSeconds === null ? connections : ([unfinished, connections] as const);
  };
  const connections = await saveStep<Connections>(clusters, key, thisAttempt(), work, { members: true });
  if (connections.waitSeconds !== null) await sendInvitations(deps, plan, operationId);
  return connections;
}
