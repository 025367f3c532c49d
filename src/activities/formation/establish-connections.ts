import type { ClusterId, OperationId } from '../../contracts/ids.js';
import { planLinks } from '../../domain/formation/links.js';
import { recordInvitations, requireStepResult, saveLinks, saveStep, unfinished } from '../../stores/clusters/index.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { openInboxes, sendInvitations } from './invite.js';
import { evaluateInvitations } from './evaluate-invitations.js';
import { planOf, type FormationPlan } from './plan.js';

export interface EstablishConnectionsInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
}

export interface EstablishedConnections {
  /** Null when the connections stand; else how long to wait for answers before calling again. */
  readonly waitSeconds: number | null;
  readonly invited: readonly string[];
  /** Who is connected, once the connections stand: these and nobody else become the members. */
  readonly members: readonly string[];
}

/**
 * Step 3 of form_cluster: opens inboxes, invites those who want to be asked, replaces those who decline or stay
 * silent by the next alternate, and links the members. Called again after each answer or time-out until done.
 * @throws `InvitationsDeclined` when those who accepted cannot be the cluster asked for.
 */
export const establishConnections = (deps: ActivityDeps) =>
  asActivity(async ({ operationId, clusterId }: EstablishConnectionsInput): Promise<EstablishedConnections> => {
    const { clusters, settings } = deps;
    let opening: Promise<FormationPlan> | undefined;
    const saving = saveStep<EstablishedConnections>(
      clusters,
      { operationId, step: 'establishConnections', round: 0 },
      thisAttempt(),
      async (tx, { plan: saved, members }) => {
        const plan = planOf(saved, operationId);
        // Side by side with the transaction: both are idempotent, and the activity has ended only when both have.
        opening = openInboxes(deps, plan);
        // Its failure is met below; until then it must not count as one that nobody handles.
        opening.catch(() => undefined);
        const judgement = await evaluateInvitations(tx, { plan, operationId, settings }, members);
        if (judgement.state === 'waiting') {
          await recordInvitations(tx, judgement.toInvite);
          return [unfinished, { waitSeconds: judgement.waitSeconds, invited: judgement.asked, members: [] }];
        }
        await saveLinks(tx, clusterId, planLinks(judgement.members));
        return { waitSeconds: null, invited: [], members: judgement.members };
      },
      { members: true },
    );
    const connections = await saving.catch(async (error: unknown) => {
      await opening?.catch(() => undefined);
      throw error;
    });
    // Saved by an attempt before this one, which may have ended between the two.
    opening ??= openInboxes(
      deps,
      await requireStepResult<FormationPlan>(clusters, { operationId, step: 'identifyAgents' }),
    );
    const plan = await opening;
    if (connections.waitSeconds !== null) await sendInvitations(deps, plan, operationId);
    return connections;
  });
