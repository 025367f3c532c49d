import { z } from 'zod';
import { agentView, type registerAgent } from './agents.js';
import { clusterView } from './clusters.js';
import { decisionSummary, decisionView } from './decisions.js';
import { deliveryView } from './inbox.js';
import { deadLetterView, messageTrace, receiptView } from './messages.js';
import { operationView } from './operations.js';
import { capacityRequestView } from './capacity-requests.js';
import { budgetView, poolView, quotasView } from './resources.js';
import { tokenView } from './tokens.js';
import { topicView } from './topics.js';

/* The HTTP API's answers as its callers read them: what they know is checked, what a newer server adds is let by. */

/** What a caller writes to register an agent. */
export type AgentRegistration = z.input<typeof registerAgent>;

const nextCursor = z.string().nullable();

export const agentAnswer = z.object({ agent: agentView });
export const agentsPage = z.object({ agents: z.array(agentView), nextCursor });
export const clusterAnswer = z.object({ cluster: clusterView });
export const clustersPage = z.object({ clusters: z.array(clusterView), nextCursor });
export const operationAnswer = z.object({ operation: operationView });
export const operationsPage = z.object({ operations: z.array(operationView), nextCursor });
export const inboxAnswer = z.object({ deliveries: z.array(deliveryView) });
export const tokensAnswer = z.object({ tokens: z.array(tokenView) });
export const createdTokenAnswer = z.object({ token: tokenView, secret: z.string() });
export const messageAnswer = z.object({ message: messageTrace });
export const receiptAnswer = z.object({ receipt: receiptView });
export const topicAnswer = z.object({ topic: topicView });
export const topicsPage = z.object({ topics: z.array(topicView), nextCursor });
export const topicDeletedAnswer = z.object({
  name: z.string(),
  /** `draining`: gone when its last delivery has ended. */
  state: z.enum(['draining', 'deleted']),
  deadLettered: z.int(),
});
export type TopicDeleted = z.infer<typeof topicDeletedAnswer>;
export const deadLetterAnswer = z.object({ deadLetter: deadLetterView });
export const deadLetterReplayedAnswer = z.object({ deadLetter: deadLetterView, matched: z.int() });
export const deadLettersPage = z.object({ deadLetters: z.array(deadLetterView), nextCursor });
export const decisionAnswer = z.object({ decision: decisionView });
export const decisionsPage = z.object({ decisions: z.array(decisionSummary), nextCursor });
export const resourceRequestAnswer = z.object({ resourceRequest: capacityRequestView });
export const resourceRequestsPage = z.object({ resourceRequests: z.array(capacityRequestView), nextCursor });
export const poolAnswer = z.object({ pool: poolView });
export const poolsPage = z.object({ pools: z.array(poolView), nextCursor });
export const quotasAnswer = z.object({ quotas: quotasView });
export const budgetAnswer = z.object({ budget: budgetView });
export const budgetsPage = z.object({ budgets: z.array(budgetView), nextCursor });
export const anyAnswer = z.unknown();

export const formationIntervalAnswer = z.object({
  dryRun: z.boolean(),
  lines: z.array(z.string()),
  releasedReservations: z.int(),
  served: z.array(z.string()),
  repaired: z.array(z.string()),
  resumed: z.array(z.string()),
});

export const scalingIntervalAnswer = z.object({
  dryRun: z.boolean(),
  lines: z.array(z.string()),
  assessed: z.int(),
  started: z.array(z.string()),
  moved: z.array(z.string()),
  postponed: z.int(),
});
export type ScalingIntervalAnswer = z.infer<typeof scalingIntervalAnswer>;

export const configAppliedAnswer = z.object({ configPath: z.string(), needRestart: z.array(z.string()) });
export type ConfigApplied = z.infer<typeof configAppliedAnswer>;

const counts = z.record(z.string(), z.int());
export const statusAnswer = z.object({
  manager: z.object({
    id: z.string(),
    name: z.string(),
    version: z.string(),
    startedAt: z.iso.datetime(),
    uptimeSeconds: z.int(),
    capabilities: z.array(z.string()),
  }),
  agents: counts,
  clusters: counts,
  operations: counts,
  formationInterval: z.union([z.object({ everySeconds: z.number() }), z.object({ cron: z.string() })]),
  scalingInterval: z.union([z.object({ everySeconds: z.number() }), z.object({ cron: z.string() })]).optional(),
  thresholds: z.object({
    clusterSize: z.object({ min: z.int(), max: z.int() }),
    communicationLatencyMs: z.number(),
    resourceUsageRatio: z.number(),
    stabilityScore: z.number(),
  }),
});
export type StatusView = z.infer<typeof statusAnswer>;

/** The data of `cluster.joined` and `cluster.changed`: the whole membership of the message's epoch. */
export const membershipData = z.object({
  name: z.string().nullish(),
  coordinator: z.string().nullish(),
  members: z.array(z.object({ agentId: z.string(), roles: z.array(z.string()).default([]) })),
});
