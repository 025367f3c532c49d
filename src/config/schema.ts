import { z } from 'zod';
import { identifierPattern } from '../contracts/ids.js';
import { functions } from '../contracts/steps.js';
import { cronProblem } from './cron.js';

/*
 * The settings file: snake_case, all durations in seconds except `communication_latency`, which the specification gives
 * in milliseconds. A leaf's message is the text after "allowed:"; the report adds the value that was found.
 */

const wholeNumber = (min: number, max: number, unit: string) => {
  const allowed = `a whole number of ${unit} from ${min} to ${max}`;
  return z.int(allowed).min(min, allowed).max(max, allowed);
};

const seconds = (min: number, max: number) => wholeNumber(min, max, 'seconds');

const numberFrom = (min: number, max: number, allowed: string) => z.number(allowed).min(min, allowed).max(max, allowed);
const ratio = numberFrom(0, 1, 'a number from 0 to 1');
const latencyAllowed = 'milliseconds above 0, at most 3600000';
const delaysAllowed = 'a list of one or more whole numbers of seconds from 0 to 86400';

const section = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, `a section with the keys ${Object.keys(shape).join(', ')}`);

/** A list of one or more distinct known words. */
const wordsOf = <const Words extends readonly [string, ...string[]]>(words: Words) => {
  const allowed = `a list of one or more of ${words.join(', ')}, each once`;
  return z
    .array(z.enum(words, `one of ${words.join(', ')}`), allowed)
    .min(1, allowed)
    .refine((list) => new Set(list).size === list.length, allowed);
};

const intervalAllowed = 'whole seconds from 10 to 2592000, or a cron expression of five fields such as "*/5 * * * *"';
const interval = z.union([z.number(), z.string()], intervalAllowed).superRefine((value, context) => {
  const isAllowed = typeof value === 'string' || (Number.isInteger(value) && value >= 10 && value <= 2_592_000);
  if (!isAllowed) context.addIssue({ code: 'custom', message: intervalAllowed });
  const problem = typeof value === 'string' ? cronProblem(value) : null;
  if (problem) context.addIssue({ code: 'custom', message: `${intervalAllowed}; as cron, ${problem}` });
});

/** A PostgreSQL name that needs no quoting in URLs and log lines. */
const databaseName = /^[a-z_][a-z0-9_]{0,62}$/;
const databaseAllowed =
  'a name of 1 to 63 lower-case letters, digits or "_" that does not begin with a digit, or a postgres:// URL without a password';
const database = z.string(databaseAllowed).superRefine((text, context) => {
  if (databaseName.test(text)) return;
  const url = /^postgres(ql)?:\/\//.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.password !== '' || url.searchParams.has('password'))) {
    context.addIssue({
      code: 'custom',
      message: `${databaseAllowed}. Secrets come from the environment only: set the database's *_DATABASE_URL variable`,
    });
  } else if (!url || url.hostname === '' || url.pathname.length < 2) {
    context.addIssue({ code: 'custom', message: databaseAllowed });
  }
});

const idAllowed = '1 to 128 letters, digits, ".", "_", ":" or "-", the first a letter or digit';
const nameAllowed = 'a text of 1 to 200 characters';

const sizeBound = wholeNumber(1, 1000, 'members');
const sizeAllowed = 'a list [min, max] of two whole numbers from 1 to 1000, min <= max';

export const capabilityNames = functions.map((f) => f.capability) as [Capability, ...Capability[]];
export type Capability = (typeof functions)[number]['capability'];

export const settingsFile = section({
  cluster_manager: section({
    id: z.string(idAllowed).regex(identifierPattern, idAllowed),
    name: z.string(nameAllowed).trim().min(1, nameAllowed).max(200, nameAllowed),
    capabilities: wordsOf(capabilityNames),
    relationships: wordsOf(['orchestrator', 'all_agents']),
    databases: section({ clusters: database, communication: database, resources: database }),
    formation_interval: interval.default(300),
    scaling_interval: interval.default(600),
    alert_thresholds: section({
      cluster_size: z
        .tuple([sizeBound, sizeBound], sizeAllowed)
        .refine(([min, max]) => min <= max, sizeAllowed)
        .default([3, 10]),
      communication_latency: z
        .number(latencyAllowed)
        .positive(latencyAllowed)
        .max(3_600_000, latencyAllowed)
        .default(1000),
      resource_usage: ratio.default(0.8),
      stability_score: ratio.default(0.9),
    }).prefault({}),
    agents: section({
      lease: seconds(2, 86_400).default(30),
      heartbeat_interval: seconds(1, 3600).default(5),
      heartbeat_window: numberFrom(0.01, 5, 'seconds from 0.01 to 5').default(0.25),
    })
      .prefault({})
      .refine(
        (agents) => agents.lease >= 2 * agents.heartbeat_interval,
        'a lease of at least two heartbeat_intervals, so that one lost heartbeat does not expire the agent; raise agents.lease or lower agents.heartbeat_interval',
      ),
    formation: section({
      invitation_timeout: seconds(1, 600).default(10),
      invitation_tries: wholeNumber(1, 10, 'tries').default(3),
    }).prefault({}),
    communication: section({
      reach: z.enum(['fleet', 'cluster'], 'fleet or cluster').default('fleet'),
      delivery_lease: seconds(1, 3600).default(30),
      delivery_tries: wholeNumber(1, 100, 'tries').default(5),
      retry_delays: z.array(seconds(0, 86_400), delaysAllowed).min(1, delaysAllowed).default([1, 5, 30, 120, 300]),
      max_unacked: wholeNumber(1, 1000, 'deliveries').default(100),
      mailbox: wholeNumber(1, 1_000_000, 'deliveries').default(10_000),
      message_ttl: seconds(1, 604_800).default(3600),
      broadcast_deadline: seconds(1, 3600).default(30),
      subscription_grace: seconds(0, 86_400).default(120),
      retention: seconds(120, 31_536_000).default(86_400),
      dead_letter_retention: seconds(120, 31_536_000).default(1_209_600),
      max_streams: wholeNumber(1, 100_000, 'streams').default(2000),
      wake_ups: z.boolean('true or false').default(true),
    }).prefault({}),
    scaling: section({
      sample_period: seconds(1, 300).default(15),
      half_life: seconds(1, 3600).default(60),
      window: seconds(1, 86_400).default(1200),
      new_member: seconds(0, 3600).default(30),
      soak_grow: seconds(0, 3600).default(60),
      soak_shrink: seconds(0, 3600).default(120),
      flap_budget: wholeNumber(1, 1000, 'changes an hour').default(4),
      reversal: seconds(0, 86_400).default(1800),
      block: seconds(0, 86_400).default(1800),
      max_overrun: z
        .number('a number from 1 to 1000')
        .min(1, 'a number from 1 to 1000')
        .max(1000, 'a number from 1 to 1000')
        .default(10),
    }).prefault({}),
    limits: section({
      body_kib: wholeNumber(1, 10_240, 'KiB').default(256),
      requests_per_second: wholeNumber(1, 1_000_000, 'requests').default(2000),
      kib_per_second: wholeNumber(8192, 10_485_760, 'KiB').default(8192),
      items_per_second: wholeNumber(1000, 10_000_000, 'messages and acks').default(5000),
      concurrent_requests: wholeNumber(1, 100_000, 'requests').default(64),
      streams: wholeNumber(1, 100_000, 'streams').default(8),
      public_requests_per_second: wholeNumber(1, 1_000_000, 'requests').default(200),
    }).prefault({}),
  }),
});
export type SettingsFile = z.output<typeof settingsFile>;

/** Every key of a schema as a dotted path, including sections; used to suggest corrections. */
export function knownPaths(schema: z.ZodType, path = ''): string[] {
  const bare = schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault ? schema.unwrap() : schema;
  if (!(bare instanceof z.ZodObject)) return [];
  return Object.entries(bare.shape).flatMap(([key, child]) => {
    const childPath = path === '' ? key : `${path}.${key}`;
    return [childPath, ...knownPaths(child, childPath)];
  });
}
