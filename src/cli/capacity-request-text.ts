import type { CapacityRequestView } from '../contracts/capacity-requests.js';

/** A request to the orchestrator as commands print it. */
export const requestDocument = (request: CapacityRequestView) => ({
  id: request.id,
  clusterId: request.clusterId,
  operationId: request.operationId,
  round: request.round,
  need: request.need,
  reason: request.reason,
  state: request.state,
  openedAt: request.openedAt,
  deadlineAt: request.deadlineAt,
  answeredAt: request.answeredAt,
  answeredBy: request.answeredBy,
  answerReason: request.answerReason,
});
