import { z } from 'zod';
import { ok, operators, pageQuery, readers, response, tagged } from '../endpoint.js';
import { createToken, tokenView } from '../tokens.js';

const token = tokenView.meta({ id: 'Token' });
const intervalRequest = z.strictObject({ dryRun: z.boolean().default(false) });
const counts = z.record(z.string(), z.int());
const interval = z.union([z.object({ everySeconds: z.number() }), z.object({ cron: z.string() })]);
const component = z.object({ name: z.string(), ready: z.boolean(), problem: z.string().optional() });
const readiness = z.object({ ready: z.boolean(), parts: z.array(component) }).meta({ id: 'Readiness' });

const configApplied = z
  .object({ configPath: z.string(), needRestart: z.array(z.string()) })
  .meta({ id: 'ConfigApplied' });

/** What one run of the formation interval did, or with dryRun would do. */
export const formationReport = z.object({
  dryRun: z.boolean(),
  lines: z.array(z.string()),
  releasedReservations: z.int(),
  served: z.array(z.string()),
  repaired: z.array(z.string()),
  resumed: z.array(z.string()),
});

/** What one run of the scaling interval did, or with dryRun would do. */
export const scalingReport = z.object({
  dryRun: z.boolean(),
  /** A line for each of the first changes and moves. */
  lines: z.array(z.string()),
  assessed: z.int(),
  /** Clusters whose scaling was started, and agents that were moved from one cluster to another. */
  started: z.array(z.string()),
  moved: z.array(z.string()),
  /** Changes left to the next run, because this one started the most that it may. */
  postponed: z.int(),
});

const status = z.object({
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
});

const event = z.object({
  seq: z.int(),
  id: z.string(),
  type: z.string(),
  subject: z.string(),
  operationId: z.string().nullable(),
  time: z.iso.datetime(),
  data: z.unknown(),
});

/** The manager itself: its intervals, settings, status, events, tokens and health. */
export const managerEndpoints = {
  ...tagged('intervals', {
    runFormationInterval: {
      route: 'POST /v1/intervals/formation',
      summary: 'Run the formation interval now; with dryRun report what it would do',
      roles: operators,
      capability: 'cluster_management',
      body: intervalRequest,
      bodyIsOptional: true,
      responses: ok('What was done, or would be done', formationReport.meta({ id: 'FormationIntervalReport' })),
    },
    runScalingInterval: {
      route: 'POST /v1/intervals/scaling',
      summary:
        'Run the scaling interval now: assess all clusters, scale and rebalance; with dryRun report what it would do',
      roles: operators,
      capability: 'scaling',
      body: intervalRequest,
      bodyIsOptional: true,
      responses: ok('What was done, or would be done', scalingReport.meta({ id: 'ScalingIntervalReport' })),
    },
  }),
  ...tagged('config', {
    applyConfig: {
      route: 'POST /v1/config/apply',
      summary: 'Read the settings file again; schedules and limits change without a restart',
      roles: ['admin'],
      responses: ok('The settings are in force, except those that need a restart', configApplied),
      errors: ['invalid_configuration'],
    },
  }),
  ...tagged('status', {
    getStatus: {
      route: 'GET /v1/status',
      summary: 'Get an overview: the manager, agents, clusters, operations and thresholds',
      roles: readers,
      responses: ok('The status', status.meta({ id: 'Status' })),
    },
    listEvents: {
      route: 'GET /v1/events',
      summary: 'List events after a sequence number, oldest first. Continue with `next` to miss none',
      roles: readers,
      query: z.strictObject({
        after: z.coerce.number<number>().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
        limit: pageQuery.limit,
      }),
      responses: ok('A page of events', {
        events: z.array(event.meta({ id: 'Event' })),
        /** The `after` of the next page; equal to the one given when there are no new events. */
        next: z.int(),
      }),
    },
  }),
  ...tagged('tokens', {
    listTokens: {
      route: 'GET /v1/tokens',
      summary: "List tokens without their secrets; agents' own tokens are not listed",
      roles: ['admin'],
      responses: ok('The tokens, oldest first', { tokens: z.array(token) }),
    },
    createToken: {
      route: 'POST /v1/tokens',
      summary: 'Create a token. Its secret is shown only here. Role agent creates an enrolment token',
      roles: ['admin'],
      body: createToken,
      responses: { 201: response('The token and its secret', { token, secret: z.string() }) },
    },
    revokeToken: {
      route: 'DELETE /v1/tokens/{id}',
      summary: 'Revoke a token; every server refuses it within a second',
      roles: ['admin'],
      params: z.object({ id: z.string().regex(/^tok_[A-Za-z0-9_-]{1,64}$/, 'must be a token id: tok_…') }),
      responses: { 204: { description: 'Revoked' } },
    },
  }),
  ...tagged('health', {
    livez: {
      route: 'GET /livez',
      summary: 'Check that the server process responds',
      roles: 'public',
      responses: ok('The process responds', { alive: z.literal(true) }),
    },
    readyz: {
      route: 'GET /readyz',
      summary: 'Check every service that requests depend on',
      roles: 'public',
      responses: {
        200: response('Ready', readiness),
        503: response('Not ready: at least one service is unavailable', readiness),
      },
    },
    getMetrics: {
      route: 'GET /metrics',
      summary: 'Get metrics for Prometheus',
      roles: ['admin', 'viewer'],
      responses: { 200: { description: 'Prometheus text', body: z.string(), contentType: 'text/plain' } },
    },
    getOpenApi: {
      route: 'GET /openapi.json',
      summary: 'Get this document',
      roles: 'public',
      responses: ok('OpenAPI 3.1', z.record(z.string(), z.unknown())),
    },
  }),
};
