import { ManagerError } from '../../contracts/errors.js';
import type { ClusterId, OperationId } from '../../contracts/ids.js';
import { managerMessageTypes } from '../../contracts/inbox.js';
import { planLinks } from '../../domain/formation/links.js';
import {
  membershipsOf,
  noteInvited,
  requireStepResult,
  saveLinks,
  saveStep,
  unfinished,
} from '../../stores/clusters/index.js';
import { deliver, openRoutes } from '../../stores/communication/index.js';
import { asActivity, thisAttempt } from '../as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { judgeInvitations } from './judge-invitations.js';
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
        const judgement = await judgeInvitations(tx, { plan, operationId, settings }, members);
        if (judgement.state === 'waiting') {
          await noteInvited(tx, judgement.toInvite);
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

async function openInboxes({ communication }: ActivityDeps, plan: FormationPlan): Promise<FormationPlan> {
  const { clusterId, joining, alternates } = plan;
  const everybody = [...joining.map((member) => member.agentId), ...alternates];
  if (await openRoutes(communication, clusterId, everybody)) return plan;
  throw new ManagerError(
    'operation_ended',
    `Cluster ${clusterId} was closed to routing; its formation is being undone`,
  );
}

/**
 * Sends what the saved state says was asked. After the commit and by deterministic ids: a crash between the two is
 * repaired by the next call, and nobody is asked twice for one try.
 */
async function sendInvitations(
  { clusters, communication, messaging, settings }: ActivityDeps,
  plan: FormationPlan,
  operationId: string,
) {
  const members = await membershipsOf(clusters, plan.clusterId);
  for (const member of members.filter((m) => m.operationId === operationId && m.answer === 'invited')) {
    await deliver(
      communication,
      {
        id: `msg_${plan.clusterId}_invitation_${member.id}_${member.tries}`,
        source: settings.id,
        type: managerMessageTypes.invitation,
        clusterId: plan.clusterId,
        epoch: plan.epoch,
        data: {
          clusterId: plan.clusterId,
          name: plan.spec.name,
          roles: member.roles,
          try: member.tries,
          tries: settings.invitationTries,
          answerWithinSeconds: settings.invitationTimeoutSeconds,
        },
      },
      [member.agentId],
    );
    messaging.wake([member.agentId]);
  }
}
