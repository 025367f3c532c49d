import { ManagerError } from '../../contracts/errors.js';
import type { FormationSpec } from '../../contracts/formation.js';
import { invitationVerdict, majority, type InvitationAnswer } from '../../domain/formation/quorum.js';
import { substitute } from '../../domain/formation/substitute.js';
import {
  lockCandidates,
  membershipsOf,
  releaseReservation,
  reserve,
  unwillingAgents,
  type ClustersDb,
  type MembershipRow,
} from '../../stores/clusters/index.js';
import type { ActivityDeps } from '../deps.js';
import { candidateQueryOf, ruleOf, toCandidate, toPlaced, type FormationPlan } from './plan.js';

export type InvitationOutcome =
  | { readonly state: 'ready'; readonly members: readonly string[] }
  | {
      readonly state: 'waiting';
      readonly waitSeconds: number;
      /** Memberships to invite now: not invited yet, or without an answer and with tries left. */
      readonly toInvite: readonly number[];
      /** Agents that have not answered. */
      readonly invited: readonly string[];
    };

interface Invitations {
  readonly plan: FormationPlan;
  readonly operationId: string;
  readonly settings: ActivityDeps['settings'];
}

/**
 * Evaluates the answers so far, replaces agents that declined or did not answer, and says whether the members are complete.
 * @param present the cluster's live memberships.
 * @throws ManagerError `invitations_declined`.
 */
export async function evaluateInvitations(
  tx: ClustersDb,
  invitations: Invitations,
  present: readonly MembershipRow[],
): Promise<InvitationOutcome> {
  const { plan, settings } = invitations;
  const members = await willingMembers(tx, invitations, present);
  const accepted = members.filter((member) => answerOf(member, settings) === 'accepted');
  const open = members.filter((member) => answerOf(member, settings) === undefined);
  const answers = Object.fromEntries(
    members.flatMap((member) => {
      const answer = answerOf(member, settings);
      return answer ? [[member.agentId, answer]] : [];
    }),
  );
  const verdict = invitationVerdict({
    members: members.map((member) => ({ ...toPlaced(member), acceptance: member.acceptance })),
    answers,
    request: { ...ruleOf(plan.spec), kept: plan.staying.map((id) => ({ id })) },
  });
  const needed = majority(plan.joining.length + plan.staying.length);
  if (accepted.length + open.length < needed) {
    throw declined(
      plan.spec,
      `${accepted.length} of ${plan.joining.length + plan.staying.length} agents accepted, a majority of ${needed} is needed`,
    );
  }
  if (verdict === 'ready') return { state: 'ready', members: members.map((member) => member.agentId) };
  if (verdict !== 'waiting') throw declined(plan.spec, verdict.failed);
  const toInvite = open.filter((member) => member.answer === 'none' || isOverdue(member, settings));
  return {
    state: 'waiting',
    waitSeconds: Math.min(...open.map((member) => secondsLeft(member, settings))),
    toInvite: toInvite.map((member) => member.id),
    invited: open.map((member) => member.agentId),
  };
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
      request: { ...ruleOf(plan.spec), kept: plan.staying.map((id) => ({ id })) },
      declined: await unwillingAgents(tx, operationId),
    });
    if (!next) continue;
    await reserve(
      tx,
      {
        clusterId: plan.clusterId,
        operationId,
        resources: plan.spec.resources,
        expiresInSeconds: plan.spec.deadlineSeconds,
      },
      [next],
    );
  }
}
