import type { FormationSpec } from '../../contracts/formation.js';
import { match } from '../../domain/formation/match.js';
import type { Match, MatchRequest } from '../../domain/formation/types.js';
import {
  findCandidates,
  findMoreCandidates,
  lockCandidates,
  reserve,
  takeTurn,
  type CandidateQuery,
  type CandidateRow,
  type Candidates,
  type ClustersDb,
} from '../../stores/clusters/index.js';
import { toCandidate } from './plan.js';

/** How long a reservation outlives its formation's deadline, so that compensation runs before it expires. */
const reservationGraceSeconds = 30;

export interface ReservationOrder {
  readonly operationId: string;
  readonly clusterId: string;
  readonly spec: FormationSpec;
  readonly query: CandidateQuery;
  readonly request: MatchRequest;
  /** Whether to count why other agents are not eligible. Default true. */
  readonly counting?: boolean;
}

export interface Reserved extends Match {
  readonly rejected: Readonly<Record<string, number>>;
}

/** Concurrent formations hold locks on agents without which the request cannot be satisfied. */
class Contended extends Error {}

/** Tries without waiting for locks first, and again in turn when concurrent formations hold the agents needed. */
export async function withRetryInTurn<Result>(attempt: (turn: boolean) => Promise<Result>): Promise<Result> {
  try {
    return await attempt(false);
  } catch (error) {
    if (!(error instanceof Contended)) throw error;
    return attempt(true);
  }
}

/**
 * Chooses agents and reserves them in the caller's transaction; reserves none when the request cannot be satisfied.
 * @param seen the candidates as read before the transaction. Locking them shows which were taken since.
 * @param turn false: skips agents that a concurrent formation has locked. True: waits for its turn and for those agents,
 * and reads the candidates again, so that a refusal does not result from a collision.
 * @throws Contended only with `turn` false.
 */
export async function reserveAgents(
  tx: ClustersDb,
  order: ReservationOrder,
  seen: Candidates,
  turn: boolean,
): Promise<Reserved> {
  const { query, request, spec, counting = true } = order;
  if (turn) await takeTurn(tx);
  const { eligible, rejected, complete } = turn ? await findCandidates(tx, query, { counting }) : seen;
  const gone = new Set<string>();
  let pool: readonly CandidateRow[] = eligible;
  let wide = complete;
  for (;;) {
    const candidates = pool.filter((row) => !gone.has(row.id)).map((row) => toCandidate(row, spec.resources));
    const found = match(candidates, request);
    if (found.shortfall.length > 0) {
      if (!wide) {
        pool = await findMoreCandidates(tx, query, spec.spread?.by ?? 'host');
        wide = true;
        continue;
      }
      if (gone.size > 0 && !turn) throw new Contended();
      return { ...found, rejected };
    }
    const wanted = found.members.map((member) => member.agentId);
    const held = new Set((await lockCandidates(tx, query, wanted, { wait: turn })).map((row) => row.id));
    const lost = wanted.filter((id) => !held.has(id));
    if (lost.length === 0) {
      await reserve(
        tx,
        {
          clusterId: order.clusterId,
          operationId: order.operationId,
          resources: spec.resources,
          expiresInSeconds: spec.deadlineSeconds + reservationGraceSeconds,
        },
        found.members,
      );
      return { ...found, rejected };
    }
    for (const id of lost) gone.add(id);
  }
}
