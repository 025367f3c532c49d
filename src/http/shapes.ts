import { z } from 'zod';
import { agentView, heartbeatAnswer, identifier, registeredAgent } from '../contracts/agents.js';
import { scalingIntervalAnswer } from '../contracts/api-answers.js';
import { clusterState, clusterView } from '../contracts/clusters.js';
import { clusterScores, decisionSummary, decisionView } from '../contracts/decisions.js';
import { ackResults, deliveryView, extendAnswer, nackAnswer } from '../contracts/inbox.js';
import {
  deadLetterState,
  deadLetterView,
  deadLetterReason,
  derivedId,
  messageResults,
  messageTrace,
  receiptView,
} from '../contracts/messages.js';
import { operationState, operationView } from '../contracts/operations.js';
import { capacityRequestState, capacityRequestView } from '../contracts/capacity-requests.js';
import {
  budgetView,
  allocationAnswer,
  allocationView,
  ledgerEntry,
  poolView,
  quotasView,
  holdAnswer,
  resourcesView,
  usageTaken,
} from '../contracts/resources.js';
import { subscriptionView, topicName, topicView } from '../contracts/topics.js';
import { tokenView } from '../contracts/tokens.js';
import { pageQuery } from './cursor.js';

/* The answers of the API: the contracts' shapes in their envelopes, named for the OpenAPI document. */

const agent = agentView.meta({ id: 'Agent' });
const cluster = clusterView.meta({ id: 'Cluster' });
const operation = operationView.meta({ id: 'Operation' });
const token = tokenView.meta({ id: 'Token' });
const nextCursor = z.string().nullable();

export const agentAnswer = z.object({ agent });
export const registeredAnswer = registeredAgent.extend({ agent }).meta({ id: 'RegisteredAgent' });
export const agentsPage = z.object({ agents: z.array(agent), nextCursor });
export const heartbeatDone = heartbeatAnswer.meta({ id: 'HeartbeatAnswer' });
export const leftAnswer = z.object({ id: z.string(), left: z.literal(true) });

export const inboxAnswer = z.object({ deliveries: z.array(deliveryView.meta({ id: 'Delivery' })) });
export const acksAnswer = ackResults.meta({ id: 'AckResults' });
export const ackedAnswer = z.object({ id: z.string(), acked: z.literal(true) });
export const nackedAnswer = nackAnswer.meta({ id: 'Nacked' });
export const extendedAnswer = extendAnswer.meta({ id: 'Extended' });
export const messageResultsAnswer = messageResults.meta({ id: 'MessageResults' });
export const messageAnswer = z.object({ message: messageTrace.meta({ id: 'MessageWay' }) });
export const receiptAnswer = z.object({ receipt: receiptView.meta({ id: 'Receipt' }) });
export const batchAnswer = z.object({ batchId: z.string() });
const topic = topicView.meta({ id: 'Topic' });
export const topicAnswer = z.object({ topic });
export const topicsPage = z.object({ topics: z.array(topic), nextCursor });
export const topicDeleted = z.object({
  name: z.string(),
  state: z.enum(['draining', 'deleted']),
  deadLettered: z.int(),
});
const subscription = subscriptionView.meta({ id: 'Subscription' });
export const subscriptionsAnswer = z.object({ subscriptions: z.array(subscription) });
export const subscribedAnswer = z.object({ subscription, retained: z.int() });
export const subscriptionEnded = z.object({ id: z.string(), ended: z.literal(true) });
const deadLetter = deadLetterView.meta({ id: 'DeadLetter' });
export const deadLetterAnswer = z.object({ deadLetter });
export const deadLetterReplayed = z.object({ deadLetter, matched: z.int() });
export const deadLettersPage = z.object({ deadLetters: z.array(deadLetter), nextCursor });
export const invitationAnswered = z.object({ clusterId: z.string(), answer: z.enum(['accept', 'decline']) });

export const operationAnswer = z.object({ operation });
export const operationsPage = z.object({ operations: z.array(operation), nextCursor });
export const clusterAnswer = z.object({ cluster });
export const clustersPage = z.object({ clusters: z.array(cluster), nextCursor });

export const decisionAnswer = z.object({ decision: decisionView.meta({ id: 'Decision' }) });
export const decisionsPage = z.object({
  decisions: z.array(decisionSummary.meta({ id: 'DecisionSummary' })),
  nextCursor,
});
export const scoresAnswer = clusterScores.meta({ id: 'Scores' });
const resourceRequest = capacityRequestView.meta({ id: 'ResourceRequest' });
export const resourceRequestAnswer = z.object({ resourceRequest });
export const resourceRequestsPage = z.object({ resourceRequests: z.array(resourceRequest), nextCursor });

const pool = poolView.meta({ id: 'Pool' });
export const poolAnswer = z.object({ pool });
export const poolsPage = z.object({ pools: z.array(pool), nextCursor });
export const poolDeleted = z.object({ name: z.string(), deleted: z.literal(true) });
export const quotasAnswer = z.object({ quotas: quotasView.meta({ id: 'Quotas' }) });
export const grantsTaken = allocationAnswer.meta({ id: 'GrantAnswer' });
const grant = allocationView.meta({ id: 'Grant' });
export const oneGrant = z.object({ grant });
export const grantsPage = z.object({ grants: z.array(grant), nextCursor });
const budget = budgetView.meta({ id: 'Budget' });
export const budgetAnswer = z.object({ budget });
export const budgetsPage = z.object({ budgets: z.array(budget), nextCursor });
export const reservedAnswer = holdAnswer.meta({ id: 'Reserved' });
export const usageAnswer = usageTaken.meta({ id: 'UsageTaken' });
export const resourcesAnswer = resourcesView.meta({ id: 'Resources' });
export const ledgerPage = z.object({ entries: z.array(ledgerEntry.meta({ id: 'LedgerEntry' })), nextCursor });

export const intervalRequest = z.strictObject({ dryRun: z.boolean().default(false) });
export const intervalReport = z
  .object({
    dryRun: z.boolean(),
    lines: z.array(z.string()),
    releasedReservations: z.int(),
    served: z.array(z.string()),
    repaired: z.array(z.string()),
    resumed: z.array(z.string()),
  })
  .meta({ id: 'FormationIntervalReport' });
export const scalingIntervalReport = scalingIntervalAnswer.meta({ id: 'ScalingIntervalReport' });

export const configApplied = z
  .object({ configPath: z.string(), needRestart: z.array(z.string()) })
  .meta({ id: 'ConfigApplied' });

const counts = z.record(z.string(), z.int());
const interval = z.union([z.object({ everySeconds: z.number() }), z.object({ cron: z.string() })]);
export const statusAnswer = z
  .object({
    manager: z.object({
      id: z.string(),
      name: z.string(),
      serverId: z.string(),
      version: z.string(),
      nodeVersion: z.string(),
      startedAt: z.iso.datetime(),
      uptimeSeconds: z.int(),
      capabilities: z.array(z.string()),
      relationships: z.array(z.string()),
    }),
    agents: z.object({ alive: z.int(), expired: z.int(), left: z.int() }),
    clusters: counts,
    operations: counts,
    formationInterval: interval,
    scalingInterval: interval,
    thresholds: z.object({
      clusterSize: z.object({ min: z.int(), max: z.int() }),
      communicationLatencyMs: z.number(),
      resourceUsageRatio: z.number(),
      stabilityScore: z.number(),
    }),
  })
  .meta({ id: 'Status' });

export const eventsPage = z.object({
  events: z.array(
    z
      .object({
        seq: z.int(),
        id: z.string(),
        type: z.string(),
        subject: z.string(),
        operationId: z.string().nullable(),
        time: z.iso.datetime(),
        data: z.unknown(),
      })
      .meta({ id: 'Event' }),
  ),
  /** Give it as `after` to go on; equal to the one asked for when there was nothing new. */
  next: z.int(),
});

export const tokenCreated = z.object({ token, secret: z.string() });
export const tokensAnswer = z.object({ tokens: z.array(token) });

const part = z.object({ name: z.string(), ready: z.boolean(), problem: z.string().optional() });
export const readyAnswer = z.object({ ready: z.boolean(), parts: z.array(part) }).meta({ id: 'Readiness' });
export const aliveAnswer = z.object({ alive: z.literal(true) });

export const byAgent = z.object({ id: identifier });
export const byId = z.object({ id: derivedId });
export const byAgentAndCluster = z.object({ id: identifier, clusterId: derivedId });
export const byTopic = z.object({ name: topicName });
export const byAgentAndSubscription = z.object({ id: identifier, subscriptionId: derivedId });
export const topicsQuery = z.strictObject(pageQuery);
export const deleteTopicQuery = z.strictObject({ mode: z.enum(['drain', 'force']).default('drain') });
export const deadLettersQuery = z.strictObject({
  ...pageQuery,
  state: deadLetterState.optional(),
  reason: deadLetterReason.optional(),
  recipient: identifier.optional(),
  clusterId: derivedId.optional(),
});
export const agentsQuery = z.strictObject({
  ...pageQuery,
  capability: z.string().min(1).max(151).optional(),
  state: z.enum(['alive', 'expired', 'left']).optional(),
});
export const clustersQuery = z.strictObject({ ...pageQuery, state: clusterState.optional() });
export const operationsQuery = z.strictObject({
  ...pageQuery,
  state: operationState.optional(),
  clusterId: derivedId.optional(),
});
export const pageOnlyQuery = z.strictObject(pageQuery);
export const scoreQuery = z.strictObject({ count: z.coerce.number().int().min(1).max(1000).default(20) });
export const byPool = z.object({ name: identifier });
export const byCluster = z.object({ clusterId: derivedId });
export const byBudget = z.object({ id: identifier });
export const byReservation = z.object({ id: identifier });
export const byGrant = z.object({
  id: z
    .string()
    .regex(/^[1-9][0-9]{0,14}$/, 'must be the number of a grant')
    .transform(Number)
    .pipe(z.int()),
});
export const ofClusterQuery = z.strictObject({ ...pageQuery, clusterId: derivedId });
export const ledgerQuery = z.strictObject({
  ...pageQuery,
  pool: identifier.optional(),
  clusterId: derivedId.optional(),
});
export const resourceRequestsQuery = z.strictObject({
  ...pageQuery,
  state: capacityRequestState.optional(),
  clusterId: derivedId.optional(),
});
export const eventsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  limit: pageQuery.limit,
});
/** How long to wait for the operation's end before it is answered as it stands. */
export const waitQuery = z.strictObject({ wait: z.coerce.number().int().min(0).max(60).default(0) });
export const byTokenId = z.object({ id: z.string().regex(/^tok_[A-Za-z0-9_-]{1,64}$/, 'must be a token id: tok_…') });

export const idempotencyHeader = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x20-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
    .optional()
    .describe('The same key and request again give the same operation; the same key with another request is a 409'),
});
