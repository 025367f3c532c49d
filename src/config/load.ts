import type { Problem } from '../contracts/errors.js';
import { type DatabaseUrls, resolveDatabases } from './databases.js';
import { checkEnvironment, type Environment, type RawEnvironment } from './environment.js';
import { configurationError } from './problems.js';
import type { SettingsFile } from './schema.js';
import { readSettings } from './settings.js';

/** When a periodic job runs. */
export type Interval = { readonly everySeconds: number } | { readonly cron: string };

type File = SettingsFile['cluster_manager'];

/** The settings file in camelCase, with the unit in each number's name. */
export interface Settings {
  /** Also the Temporal task queue. */
  readonly id: string;
  readonly name: string;
  readonly capabilities: File['capabilities'];
  readonly relationships: File['relationships'];
  readonly formationInterval: Interval;
  readonly scalingInterval: Interval;
  /** Members, inclusive. */
  readonly clusterSize: { readonly min: number; readonly max: number };
  readonly communicationLatencyMs: number;
  /** Used over capacity, 0 to 1. */
  readonly resourceUsageRatio: number;
  /** 0 to 1. */
  readonly stabilityScore: number;
  readonly leaseSeconds: number;
  readonly heartbeatSeconds: number;
  /** How long the server gathers heartbeats into one statement. */
  readonly heartbeatWindowMs: number;
  readonly invitationTimeoutSeconds: number;
  readonly invitationTries: number;
  readonly bodyLimitBytes: number;
  readonly communication: CommunicationSettings;
  readonly scaling: ScalingSettings;
}

/** The durations and limits of scaling; its ratios follow from `resourceUsageRatio`. */
export interface ScalingSettings {
  readonly samplePeriodSeconds: number;
  readonly halfLifeSeconds: number;
  /** Stabilization window: a cluster shrinks only when every recommendation within it was lower. */
  readonly windowSeconds: number;
  /** Readings of a member younger than this are ignored. */
  readonly newMemberSeconds: number;
  readonly soakGrowSeconds: number;
  readonly soakShrinkSeconds: number;
  /** Members that may join or leave a cluster by scaling within an hour. */
  readonly budgetChanges: number;
  readonly reversalSeconds: number;
  readonly blockSeconds: number;
}

/** How messages are routed, delivered and retained. */
export interface CommunicationSettings {
  /** `cluster`: agents may send only to topics and to agents they share a cluster with. */
  readonly reach: 'fleet' | 'cluster';
  readonly leaseSeconds: number;
  /** Delivery attempts before a delivery becomes a dead letter. */
  readonly tries: number;
  /** Delay after the first, second, … failed attempt; the last value repeats. */
  readonly retryDelaysSeconds: readonly number[];
  readonly maxUnacked: number;
  /** The most open deliveries of an inbox; more are refused. */
  readonly mailbox: number;
  readonly ttlSeconds: number;
  readonly broadcastDeadlineSeconds: number;
  readonly subscriptionGraceSeconds: number;
  readonly retentionSeconds: number;
  readonly deadLetterRetentionSeconds: number;
  readonly maxStreams: number;
  readonly wakeUps: boolean;
}

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
  const { environment, problems: environmentProblems } = checkEnvironment(options.env);
  const path = options.path ?? (options.env['CLUSTER_MANAGER_CONFIG'] || 'cluster-manager.yaml');
  const { settings, problems: fileProblems } = readSettings(path);
  const problems: Problem[] = [...fileProblems, ...environmentProblems];
  if (!environment || !settings) throw configurationError(`The configuration (${path} and the environment)`, problems);
  const { databases, problems: databaseProblems } = resolveDatabases(settings.databases, environment.databaseUrls);
  if (!databases) throw configurationError(`The configuration (${path} and the environment)`, databaseProblems);
  const { databaseUrls: _resolved, ...rest } = environment;
  return { ...rest, ...toSettings(settings), configPath: path, databases };
}

const intervalOf = (value: number | string): Interval =>
  typeof value === 'number' ? { everySeconds: value } : { cron: value.trim() };

/** The only place where the file's snake_case becomes camelCase with units in the names. */
function toSettings(file: File): Settings {
  const [min, max] = file.alert_thresholds.cluster_size;
  return {
    id: file.id,
    name: file.name,
    capabilities: file.capabilities,
    relationships: file.relationships,
    formationInterval: intervalOf(file.formation_interval),
    scalingInterval: intervalOf(file.scaling_interval),
    clusterSize: { min, max },
    communicationLatencyMs: file.alert_thresholds.communication_latency,
    resourceUsageRatio: file.alert_thresholds.resource_usage,
    stabilityScore: file.alert_thresholds.stability_score,
    leaseSeconds: file.agents.lease,
    heartbeatSeconds: file.agents.heartbeat_interval,
    heartbeatWindowMs: Math.round(file.agents.heartbeat_window * 1000),
    invitationTimeoutSeconds: file.formation.invitation_timeout,
    invitationTries: file.formation.invitation_tries,
    bodyLimitBytes: file.limits.body_kib * 1024,
    communication: {
      reach: file.communication.reach,
      leaseSeconds: file.communication.delivery_lease,
      tries: file.communication.delivery_tries,
      retryDelaysSeconds: file.communication.retry_delays,
      maxUnacked: file.communication.max_unacked,
      mailbox: file.communication.mailbox,
      ttlSeconds: file.communication.message_ttl,
      broadcastDeadlineSeconds: file.communication.broadcast_deadline,
      subscriptionGraceSeconds: file.communication.subscription_grace,
      retentionSeconds: file.communication.retention,
      deadLetterRetentionSeconds: file.communication.dead_letter_retention,
      maxStreams: file.communication.max_streams,
      wakeUps: file.communication.wake_ups,
    },
    scaling: {
      samplePeriodSeconds: file.scaling.sample_period,
      halfLifeSeconds: file.scaling.half_life,
      windowSeconds: file.scaling.window,
      newMemberSeconds: file.scaling.new_member,
      soakGrowSeconds: file.scaling.soak_grow,
      soakShrinkSeconds: file.scaling.soak_shrink,
      budgetChanges: file.scaling.flap_budget,
      reversalSeconds: file.scaling.reversal,
      blockSeconds: file.scaling.block,
    },
  };
}
