import { ManagerError } from '../../contracts/errors.js';
import { managerMessageTypes } from '../../contracts/inbox.js';
import { membershipsOf } from '../../stores/clusters/index.js';
import { deliver, openRoutes } from '../../stores/communication/index.js';
import type { ActivityDeps } from '../deps.js';
import type { FormationPlan } from './plan.js';

/** Makes sure that everybody who may become a member has an inbox. @throws ManagerError `operation_ended` when the cluster was closed. */
export async function openInboxes({ communication }: ActivityDeps, plan: FormationPlan): Promise<FormationPlan> {
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
export async function sendInvitations(
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
    messaging.notify([member.agentId]);
  }
}
