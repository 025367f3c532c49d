import { ManagerError } from '../../contracts/errors.js';
import type { FormationSpec } from '../../contracts/formation.js';
import { planLinks } from '../../domain/formation/links.js';
import { invitationVerdict, majority, type InvitationAnswer } from '../../domain/formation/quorum.js';
import { substitute } from '../../domain/formation/substitute.js';
import {
  lockCandidates,
  membershipsOf,
  recordInvitations,
  releaseReservation,
  reserve,
  saveLinks,
  unwillingAgents,
  type ClustersDb,
  type MembershipRow,
} from '../../stores/clusters/index.js';
import type { FormationDeps } from '../deps.js';
import { candidateQueryOf, ruleOf, toCandidate, toPlaced, type FormationPlan } from './plan.js';

export interface Connections {
  /** Null when the members are connected; else how long to wait for answers before calling again. */
  readonly waitSeconds: number | null;
  /** Agents that have not answered. */
  readonly invited: readonly string[];
  /** The connected agents, who become the members. Empty until then. */
  readonly members: readonly string[];
}

interface Invitations {
  readonly plan: FormationPlan;
  readonly operationId: string;
  readonly settings: FormationDeps['settings'];
}

/**
 * Evaluates the answers so far and replaces agents that declined or did not answer. Records the invitations to send now;
 * once all have answered, links the members.
 * @param present the cluster's live memberships.
 * @throws ManagerError `invitations_declined`.
 */
export async function connectMembers(
  tx: ClustersDb,
  invitations: Invitations,
  present: readonly MembershipRow[],
): Promise<Connections> {
  const { plan, settings } = invitations;
  const members = await willingMembers(tx, invitations, present);
  const answers: Readonly<Record<string, InvitationAnswer>> = Object.fromEntries(
    members.flatMap((member) => {
      const answer = answerOf(member, settings);
      return answer ? [[member.agentId, answer]] : [];
    }),
  );
  const open = members.filter(({ agentId }) => !Object.hasOwn(answers, agentId));
  const accepted = Object.values(answers).filter((answer) => answer === 'accepted').length;
  const planned = plan.joining.length + plan.staying.length;
  if (accepted + open.length < majority(planned)) {
    throw declined(
      plan.spec,
      `${accepted} of ${planned} agents accepted, a majority of ${majority(planned)} is needed`,
    );
  }
  const verdict = invitationVerdict({ members: members.map(toPlaced), answers, request: ruleOf(plan) });
  if (verdict === 'ready') {
    const ids = members.map(({ agentId }) => agentId);
    await saveLinks(tx, plan.clusterId, planLinks(ids));
    return { waitSeconds: null, invited: [], members: ids };
  }
  if (verdict !== 'waiting') throw declined(plan.spec, verdict.failed);
  const toInvite = open.filter((member) => member.answer === 'none' || isOverdue(member, settings));
  await recordInvitations(
    tx,
    toInvite.map(({ id }) => id),
  );
  const waitSeconds = Math.min(...open.map((member) => secondsLeft(member, settings)));
  return { waitSeconds, invited: open.map(({ agentId }) => agentId), members: [] };
}

const declined = (spec: FormationSpec, what: string): ManagerError =>
  new ManagerError(
    'invitations_declined',
    `Cluster "${spec.name}" could not be connected: ${what}. Ask again, lower size.min, or register agents with acceptance "auto"`,
  );

/** A final answer, or undefined while the agent may still give one. */
function answerOf(member: MembershipRow, settings: Invitations['settings']): InvitationAnswer | undefined {
  if (member.state === 'active' || member.acceptance === 'auto' || member.answer === 'accepted') return 'accepted';
  if (member.answer === 'declined') return 'declined';
  if (!member.alive) return 'silent';
  return member.tries >= settings.invitationTries && isOverdue(member, settings) ? 'silent' : undefined;
}

const isOverdue = (member: MembershipRow, settings: Invitations['settings']): boolean =>
  member.invitedSecondsAgo !== null && member.invitedSecondsAgo >= settings.invitationTimeoutSeconds;

const secondsLeft = (member: MembershipRow, settings: Invitations['settings']): number =>
  member.answer === 'none' || isOverdue(member, settings)
    ? settings.invitationTimeoutSeconds
    : Math.max(0.1, settings.invitationTimeoutSeconds - (member.invitedSecondsAgo ?? 0));

/** Replaces each agent that declined or did not answer by the next alternate with which the cluster is what was asked for. */
async function willingMembers(
  tx: ClustersDb,
  { plan, operationId, settings }: Invitations,
  present: readonly MembershipRow[],
): Promise<MembershipRow[]> {
  const query = candidateQueryOf(plan.spec, operationId, plan.clusterId);
  const gone: string[] = [];
  for (let rows = present; ; rows = await membershipsOf(tx, plan.clusterId)) {
    const members = rows.filter((m) => !plan.leaving.includes(m.agentId));
    const unwilling = members.find((member) => ['declined', 'silent'].includes(answerOf(member, settings) ?? ''));
    if (!unwilling) return members;
    await releaseReservation(tx, unwilling.id, unwilling.answer === 'declined' ? 'declined' : 'silent');
    gone.push(unwilling.agentId);
    const untried = plan.alternates.filter((id) => !gone.includes(id));
    const eligible = untried.length > 0 ? await lockCandidates(tx, query, untried, { wait: false }) : [];
    const ranked = untried.flatMap((id) => eligible.find((row) => row.id === id) ?? []);
    const next = substitute({
      lost: unwilling.agentId,
      members: members.map(toPlaced),
      alternates: ranked.map((row) => toCandidate(row, plan.spec.resources)),
      request: ruleOf(plan),
      declined: await unwillingAgents(tx, operationId),
    });
    if (!next) continue;
    const { resources, deadlineSeconds: expiresInSeconds } = plan.spec;
    await reserve(tx, { clusterId: plan.clusterId, operationId, resources, expiresInSeconds }, [next]);
  }
}
