import type { DeepReadonly } from '../contracts/endpoint.js';
import { type DatabaseUrls, resolveDatabases } from './databases.js';
import { checkEnvironment, type Environment, type RawEnvironment } from './environment.js';
import { configurationError } from './problems.js';
import type { SettingsFile } from './schema.js';
import { readSettings } from './settings.js';

/** When a periodic job runs. */
export type Interval = { readonly everySeconds: number } | { readonly cron: string };

/** The settings file in camelCase, with the unit in each number's name. */
type Settings = DeepReadonly<ReturnType<typeof toSettings>>;
/** How messages are routed, delivered and retained. */
export type CommunicationSettings = Settings['communication'];

/** The checked configuration of a worker or server. */
export interface ManagerConfig extends Settings, Omit<Environment, 'databaseUrls'> {
  readonly databases: DatabaseUrls;
}

/**
 * Reads the settings file and the environment, the only two sources of configuration; the environment wins.
 * @param options.path of the settings file; without it `CLUSTER_MANAGER_CONFIG`, then `cluster-manager.yaml`.
 * @throws ManagerError `invalid_configuration` that lists every problem of both, each with its key, what was seen and
 * what is allowed.
 */
export function loadConfig(options: { readonly path?: string; readonly env: RawEnvironment }): ManagerConfig {
  const { value: environment, problems: environmentProblems } = checkEnvironment(options.env);
  const path = options.path ?? (options.env['CLUSTER_MANAGER_CONFIG'] || 'cluster-manager.yaml');
  const source = `The configuration (${path} and the environment)`;
  const { value: settings, problems: fileProblems } = readSettings(path);
  if (!environment || !settings) throw configurationError(source, [...fileProblems, ...environmentProblems]);
  const { value: databases, problems } = resolveDatabases(settings.databases, environment.databaseUrls);
  if (!databases) throw configurationError(source, problems);
  const { databaseUrls: _resolved, ...rest } = environment;
  return { ...rest, ...toSettings(settings), configPath: path, databases };
}

const intervalOf = (value: number | string): Interval =>
  typeof value === 'number' ? { everySeconds: value } : { cron: value.trim() };

/** The only place where the file's snake_case becomes camelCase with units in the names. */
function toSettings(file: SettingsFile['cluster_manager']) {
  const { alert_thresholds: thresholds, agents, formation, communication, scaling } = file;
  const [min, max] = thresholds.cluster_size;
  return {
    /** Also the Temporal task queue. */
    id: file.id,
    name: file.name,
    capabilities: file.capabilities,
    relationships: file.relationships,
    formationInterval: intervalOf(file.formation_interval),
    scalingInterval: intervalOf(file.scaling_interval),
    /** Members, inclusive. */
    clusterSize: { min, max },
    communicationLatencyMs: thresholds.communication_latency,
    /** Used over capacity, 0 to 1; the ratios of scaling follow from it. */
    resourceUsageRatio: thresholds.resource_usage,
    /** 0 to 1. */
    stabilityScore: thresholds.stability_score,
    leaseSeconds: agents.lease,
    heartbeatSeconds: agents.heartbeat_interval,
    /** How long the server gathers heartbeats into one statement. */
    heartbeatWindowMs: Math.round(agents.heartbeat_window * 1000),
    invitationTimeoutSeconds: formation.invitation_timeout,
    invitationTries: formation.invitation_tries,
    bodyLimitBytes: file.limits.body_kib * 1024,
    /** What one agent's token may use of one server. */
    tokenLimits: tokenLimitsOf(file.limits),
    communication: {
      /** `cluster`: agents may send only to topics and to agents they share a cluster with. */
      reach: communication.reach,
      leaseSeconds: communication.delivery_lease,
      /** Delivery attempts before a delivery becomes a dead letter. */
      tries: communication.delivery_tries,
      /** Delay after the first, second, … failed attempt; the last value repeats. */
      retryDelaysSeconds: communication.retry_delays,
      maxUnacked: communication.max_unacked,
      /** The most open deliveries of an inbox; more are refused. */
      mailbox: communication.mailbox,
      ttlSeconds: communication.message_ttl,
      broadcastDeadlineSeconds: communication.broadcast_deadline,
      subscriptionGraceSeconds: communication.subscription_grace,
      retentionSeconds: communication.retention,
      deadLetterRetentionSeconds: communication.dead_letter_retention,
      maxStreams: communication.max_streams,
      wakeUps: communication.wake_ups,
    },
    scaling: scalingOf(scaling),
  };
}

const scalingOf = (scaling: SettingsFile['cluster_manager']['scaling']) => ({
  samplePeriodSeconds: scaling.sample_period,
  halfLifeSeconds: scaling.half_life,
  /** Stabilization window: a cluster shrinks only when every recommendation within it was lower. */
  windowSeconds: scaling.window,
  /** Readings of a member younger than this are ignored. */
  newMemberSeconds: scaling.new_member,
  soakGrowSeconds: scaling.soak_grow,
  soakShrinkSeconds: scaling.soak_shrink,
  /** Members that may join or leave a cluster by scaling within an hour. */
  budgetChanges: scaling.flap_budget,
  reversalSeconds: scaling.reversal,
  blockSeconds: scaling.block,
  /** The most that may be committed for a reservation, as a multiple of its amount. */
  maxOverrun: scaling.max_overrun,
});

const tokenLimitsOf = (limits: SettingsFile['cluster_manager']['limits']) => ({
  requestsPerSecond: limits.requests_per_second,
  /** Bytes of request bodies. */
  bytesPerSecond: limits.kib_per_second * 1024,
  /** Messages sent and deliveries acknowledged. */
  itemsPerSecond: limits.items_per_second,
  concurrentRequests: limits.concurrent_requests,
  streams: limits.streams,
  /** Of each address, to endpoints that need no token. */
  publicRequestsPerSecond: limits.public_requests_per_second,
});
