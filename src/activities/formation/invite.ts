import { ManagerError } from '../../contracts/errors.js';
import { managerMessageTypes } from '../../contracts/inbox.js';
import { membershipsOf } from '../../stores/clusters/index.js';
import { deliver, openRoutes } from '../../stores/communication/index.js';
import type { FormationDeps } from '../deps.js';
import type { FormationPlan } from './plan.js';

/** Gives every agent that may become a member an inbox. @throws ManagerError `operation_ended` when the cluster was closed. */
export async function openInboxes(
  { communication }: FormationDeps,
  { clusterId, joining, alternates }: FormationPlan,
): Promise<void> {
  const candidates = [...joining.map((member) => member.agentId), ...alternates];
  if (await openRoutes(communication, clusterId, candidates)) return;
  throw new ManagerError(
    'operation_ended',
    `Cluster ${clusterId} was closed to routing; its formation is being undone`,
  );
}

/**
 * Sends the invitations that were recorded. Called after the commit, with ids that derive from the try: the next call
 * repairs a crash between the two, and no agent is invited twice for one try.
 */
export async function sendInvitations(
  { clusters, communication, messaging, settings }: FormationDeps,
  { clusterId, epoch, spec }: FormationPlan,
  operationId: string,
): Promise<void> {
  const members = await membershipsOf(clusters, clusterId);
  for (const member of members.filter((m) => m.operationId === operationId && m.answer === 'invited')) {
    const message = {
      id: `msg_${clusterId}_invitation_${member.id}_${member.tries}`,
      source: settings.id,
      type: managerMessageTypes.invitation,
      clusterId,
      epoch,
      data: {
        clusterId,
        name: spec.name,
        roles: member.roles,
        try: member.tries,
        tries: settings.invitationTries,
        answerWithinSeconds: settings.invitationTimeoutSeconds,
      },
    };
    await deliver(communication, message, [member.agentId]);
    messaging.notify([member.agentId]);
  }
}
