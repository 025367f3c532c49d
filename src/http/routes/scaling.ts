import type { DecisionSummary, ScaleCluster, ScoreView } from '../../contracts/decisions.js';
import { ManagerError } from '../../contracts/errors.js';
import { newScaling } from '../../operations/new-operation.js';
import { operationIdOf } from '../../operations/operation-id.js';
import {
  findDecision,
  lastScores,
  listDecisions,
  type DecisionRow,
  type ScoreRow,
} from '../../stores/resources/index.js';
import { defined, pageByNumber } from '../cursor.js';
import type { ClusterDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { operationReply } from '../operation-reply.js';
import { requireMember, visibleCluster } from '../visibility.js';

export const scalingHandlers = (deps: ClusterDeps) =>
  ({
    scaleCluster: async ({ params, body, sentBody, query: { wait }, headers, principal, raw }) => {
      const id = operationIdOf(principal, { requestId: body.requestId, idempotencyKey: headers['idempotency-key'] });
      const { requestId: _requestId, ...sent } = sentBody as ScaleCluster;
      const operation = await newScaling(deps, principal, id, { clusterId: params.id, ...sent });
      return operationReply(deps, principal, operation, { waitSeconds: wait, signal: raw.signal });
    },

    listDecisions: async ({ params, query, principal }) => {
      const { id } = await visibleCluster(deps, principal, params.id);
      const { rows, nextCursor } = await pageByNumber(
        query,
        (before, limit) => listDecisions(deps.resources, id, { ...defined({ before }), limit }),
        ({ no }) => no,
      );
      return { decisions: rows.map(summaryOf), nextCursor };
    },

    getDecision: async ({ params: { id }, principal }) => {
      const missing = new ManagerError(
        'not_found',
        `Decision "${id}" does not exist; decisions are deleted when their retention ends`,
      );
      const row = await findDecision(deps.resources, id);
      if (!row) throw missing;
      await requireMember(deps, principal, row.clusterId, missing);
      const { decision, facts, outcomeDetail } = row;
      return { decision: { ...summaryOf(row), decision, facts, outcomeDetail } };
    },

    getScore: async ({ params, query: { count }, principal }) => {
      const { id } = await visibleCluster(deps, principal, params.id);
      return { clusterId: id, scores: (await lastScores(deps.resources, id, count)).map(scoreViewOf) };
    },
  }) satisfies Partial<Handlers>;

const summaryOf = ({ id, clusterId, operationId, round, at, sentence, outcome }: DecisionRow): DecisionSummary => ({
  id,
  clusterId,
  operationId,
  round,
  at: at.toISOString(),
  sentence,
  outcome,
});

export const scoreViewOf = ({ atMs, score, parts, caps, assumed, unknown }: ScoreRow): ScoreView => ({
  at: new Date(atMs).toISOString(),
  score,
  parts: { ...parts },
  caps: [...caps],
  assumed: [...assumed],
  unknown,
});
