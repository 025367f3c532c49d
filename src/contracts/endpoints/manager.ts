import { z } from 'zod';
import { operators, pageQuery, readers, response, type Endpoint } from '../endpoint.js';
import { createToken, tokenView } from '../tokens.js';

const token = tokenView.meta({ id: 'Token' });
const intervalRequest = z.strictObject({ dryRun: z.boolean().default(false) });
const counts = z.record(z.string(), z.int());
const interval = z.union([z.object({ everySeconds: z.number() }), z.object({ cron: z.string() })]);
const component = z.object({ name: z.string(), ready: z.boolean(), problem: z.string().optional() });
const readiness = z.object({ ready: z.boolean(), parts: z.array(component) }).meta({ id: 'Readiness' });

const formationReport = z.object({
  dryRun: z.boolean(),
  lines: z.array(z.string()),
  releasedReservations: z.int(),
  served: z.array(z.string()),
  repaired: z.array(z.string()),
  resumed: z.array(z.string()),
});

const scalingReport = z.object({
  dryRun: z.boolean(),
  lines: z.array(z.string()),
  assessed: z.int(),
  started: z.array(z.string()),
  moved: z.array(z.string()),
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
  runFormationInterval: {
    method: 'post',
    path: '/v1/intervals/formation',
    summary: 'Run the formation interval now; with dryRun report what it would do',
    tag: 'intervals',
    roles: operators,
    capability: 'cluster_management',
    body: intervalRequest,
    bodyIsOptional: true,
    responses: {
      200: response('What was done, or would be done', formationReport.meta({ id: 'FormationIntervalReport' })),
    },
    errors: [],
  },
  runScalingInterval: {
    method: 'post',
    path: '/v1/intervals/scaling',
    summary:
      'Run the scaling interval now: assess all clusters, scale and rebalance; with dryRun report what it would do',
    tag: 'intervals',
    roles: operators,
    capability: 'scaling',
    body: intervalRequest,
    bodyIsOptional: true,
    responses: {
      200: response('What was done, or would be done', scalingReport.meta({ id: 'ScalingIntervalReport' })),
    },
    errors: [],
  },
  applyConfig: {
    method: 'post',
    path: '/v1/config/apply',
    summary: 'Read the settings file again; schedules and limits change without a restart',
    tag: 'config',
    roles: ['admin'],
    responses: {
      200: response(
        'The settings are in force, except those that need a restart',
        z.object({ configPath: z.string(), needRestart: z.array(z.string()) }).meta({ id: 'ConfigApplied' }),
      ),
    },
    errors: ['invalid_configuration'],
  },
  getStatus: {
    method: 'get',
    path: '/v1/status',
    summary: 'Get an overview: the manager, agents, clusters, operations and thresholds',
    tag: 'status',
    roles: readers,
    responses: { 200: response('The status', status.meta({ id: 'Status' })) },
    errors: [],
  },
  listEvents: {
    method: 'get',
    path: '/v1/events',
    summary: 'List events after a sequence number, oldest first. Continue with `next` to miss none',
    tag: 'status',
    roles: readers,
    query: z.strictObject({
      after: z.coerce.number<number>().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
      limit: pageQuery.limit,
    }),
    responses: {
      200: response(
        'A page of events',
        z.object({
          events: z.array(event.meta({ id: 'Event' })),
          /** The `after` of the next page; equal to the one given when there are no new events. */
          next: z.int(),
        }),
      ),
    },
    errors: [],
  },
  listTokens: {
    method: 'get',
    path: '/v1/tokens',
    summary: "List tokens without their secrets; agents' own tokens are not listed",
    tag: 'tokens',
    roles: ['admin'],
    responses: { 200: response('The tokens, oldest first', z.object({ tokens: z.array(token) })) },
    errors: [],
  },
  createToken: {
    method: 'post',
    path: '/v1/tokens',
    summary: 'Create a token. Its secret is shown only here. Role agent creates an enrolment token',
    tag: 'tokens',
    roles: ['admin'],
    body: createToken,
    responses: { 201: response('The token and its secret', z.object({ token, secret: z.string() })) },
    errors: [],
  },
  revokeToken: {
    method: 'delete',
    path: '/v1/tokens/{id}',
    summary: 'Revoke a token; every server refuses it within a second',
    tag: 'tokens',
    roles: ['admin'],
    params: z.object({ id: z.string().regex(/^tok_[A-Za-z0-9_-]{1,64}$/, 'must be a token id: tok_…') }),
    responses: { 204: { description: 'Revoked' } },
    errors: ['not_found'],
  },
  livez: {
    method: 'get',
    path: '/livez',
    summary: 'Check that the server process responds',
    tag: 'health',
    roles: 'public',
    responses: { 200: response('The process responds', z.object({ alive: z.literal(true) })) },
    errors: [],
  },
  readyz: {
    method: 'get',
    path: '/readyz',
    summary: 'Check every service that requests depend on',
    tag: 'health',
    roles: 'public',
    responses: {
      200: response('Ready', readiness),
      503: response('Not ready: at least one service is unavailable', readiness),
    },
    errors: [],
  },
  getMetrics: {
    method: 'get',
    path: '/metrics',
    summary: 'Get metrics for Prometheus',
    tag: 'health',
    roles: ['admin', 'viewer'],
    responses: { 200: { description: 'Prometheus text', body: z.string(), contentType: 'text/plain' } },
    errors: [],
  },
  getOpenApi: {
    method: 'get',
    path: '/openapi.json',
    summary: 'Get this document',
    tag: 'health',
    roles: 'public',
    responses: { 200: response('OpenAPI 3.1', z.record(z.string(), z.unknown())) },
    errors: [],
  },
} as const satisfies Record<string, Endpoint>;
