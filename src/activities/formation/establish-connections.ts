import type { OperationIds } from '../../contracts/ids.js';
import { planLinks } from '../../domain/formation/links.js';
import { recordInvitations, requireStepResult, saveLinks, saveStep, unfinished } from '../../stores/clusters/index.js';
import type { ActivityDeps } from '../deps.js';
import { thisAttempt } from '../shared/as-activity.js';
import { evaluateInvitations } from './evaluate-invitations.js';
import { openInboxes, sendInvitations } from './invite.js';
import type { FormationPlan } from './plan.js';

export interface EstablishedConnections {
  /** Null when the members are connected; else how long to wait for answers before calling again. */
  readonly waitSeconds: number | null;
  readonly invited: readonly string[];
  /** The connected agents, who become the members. Empty until then. */
  readonly members: readonly string[];
}

/**
 * Step 3 of form_cluster: opens inboxes, invites agents that want to be asked, replaces those that decline or do not answer
 * by the next alternate, and links the members. Called again after each answer or time-out until done.
 * @throws `InvitationsDeclined` when those who accepted cannot be the cluster asked for.
 */
export async function establishConnections(
  deps: ActivityDeps,
  { operationId, clusterId }: OperationIds,
): Promise<EstablishedConnections> {
  const { clusters, settings } = deps;
  const plan = await requireStepResult<FormationPlan>(clusters, { operationId, step: 'identifyAgents' });
  await openInboxes(deps, plan);
  const connections = await saveStep<EstablishedConnections>(
    clusters,
    { operationId, step: 'establishConnections', round: 0 },
    thisAttempt(),
    async (tx, { members }) => {
      const outcome = await evaluateInvitations(tx, { plan, operationId, settings }, members);
      if (outcome.state === 'waiting') {
        await recordInvitations(tx, outcome.toInvite);
        return [unfinished, { waitSeconds: outcome.waitSeconds, invited: outcome.invited, members: [] }];
      }
      await saveLinks(tx, clusterId, planLinks(outcome.members));
      return { waitSeconds: null, invited: [], members: outcome.members };
    },
    { members: true },
  );
  if (connections.waitSeconds !== null) await sendInvitations(deps, plan, operationId);
  return connections;
}
