import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTopic, openInbox, type CommunicationDb } from '../../../src/stores/communication/index.js';
import { communicationInvariants } from '../../invariants/communication-db.js';
import { checkInvariants } from '../../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { fresh, route } from './builders.js';
import * as changes from './model/changes.js';
import * as commands from './model/commands.js';
import { bounds, Model } from './model/model.js';
import { leaseRules, type Real } from './model/real.js';

const agentCount = 4;
const runs = Number(process.env['MODEL_RUNS'] ?? 6);
const seed = Number(process.env['MODEL_SEED'] ?? Date.now() % 1_000_000_007);

let stores: TestDatabases;
let db: CommunicationDb;

beforeAll(async () => {
  stores = await createTestDatabases();
  db = stores.communication;
});
afterAll(() => stores?.drop());

/** Four agents in one cluster, and a topic of each retention, under names that no other run uses. */
async function begin(): Promise<{ model: Model; real: Real }> {
  const root = fresh('run');
  const agentIds = Array.from({ length: agentCount }, (_, index) => `${root}-a${index}`);
  for (const id of agentIds) await openInbox(db, id, []);
  const open = { publish: null, subscribe: null, maxSubscribers: 100 };
  await createTopic(db, { name: `${root}.plain`, retention: { keep: 'none' }, ...open }, 'owner');
  await createTopic(db, { name: `${root}.kept.last`, retention: { keep: 'last' }, ...open }, 'owner');
  await createTopic(db, { name: `${root}.kept.two`, retention: { keep: 'count', count: 2 }, ...open }, 'owner');
  const keeps = new Map([
    [`${root}.kept.last`, 1],
    [`${root}.kept.two`, 2],
  ]);
  const model = new Model(root, agentIds, keeps);
  await route(db, model.clusterId, 1, model.members, Object.fromEntries(model.workers.map((id) => [id, ['worker']])));
  const settings = {
    ...leaseRules,
    reach: 'fleet',
    mailbox: bounds.mailbox,
    ttlSeconds: 3600,
    broadcastDeadlineSeconds: 30,
    subscriptionGraceSeconds: 120,
    retentionSeconds: 86_400,
    deadLetterRetentionSeconds: 86_400,
    maxStreams: 10,
    wakeUps: false,
  } as const;
  return {
    model,
    real: {
      db,
      root,
      deps: { communication: db, settings: () => settings, notify: () => undefined, warn: () => undefined },
    },
  };
}

const agent = fc.nat({ max: agentCount - 1 });
const index = fc.nat({ max: 200 });
const thief = fc.option(agent, { nil: undefined, freq: 8 });
const key = fc.option(fc.constantFrom('k', 'l'), { nil: null, freq: 3 });
const address = fc.constantFrom(
  'agent',
  'agent',
  'agent',
  'role',
  'role',
  'cluster',
  'plain',
  'plain',
  'kept.last',
  'kept.two',
);
const pattern = fc.constantFrom('plain', '*', '>', 'kept.*', 'kept.two', 'none.*');
const send = fc.tuple(index, agent, address, agent, key).map((args) => commands.sendMail(...args));
const receive = fc.tuple(agent, fc.integer({ min: 1, max: 6 })).map((args) => commands.receiveMail(...args));
const ack = fc.tuple(index, thief).map((args) => commands.ackMail(...args));

const often = (arbitrary: fc.Arbitrary<commands.Command>, weight: number) =>
  Array.from({ length: weight }, () => arbitrary);

const every = [
  ...often(send, 12),
  ...often(receive, 9),
  ...often(ack, 6),
  fc.tuple(index, fc.boolean()).map((args) => commands.sendAgain(...args)),
  ...often(
    fc
      .tuple(index, fc.constantFrom(0 as const, 3600 as const), fc.boolean(), thief)
      .map((args) => commands.giveMailBack(...args)),
    2,
  ),
  fc.tuple(index, thief).map((args) => commands.prolong(...args)),
  ...often(agent.map(commands.leasesRunOut), 5),
  agent.map(commands.delaysAreOver),
  ...often(
    fc
      .tuple(agent, pattern, fc.constantFrom('g' as const, 'g' as const, null))
      .map((args) => changes.subscribeTo(...args)),
    4,
  ),
  index.map(changes.unsubscribeFrom),
  agent.map(changes.leave),
  ...often(agent.map(changes.comeBack), 3),
  fc.nat({ max: 2 ** agentCount - 1 }).map(changes.changeMembers),
  ...often(index.map(changes.replay), 2),
  index.map(changes.discard),
];

it(
  `the store does what a model in memory does (MODEL_SEED=${seed} MODEL_RUNS=${runs})`,
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(every, { maxCommands: 250, size: 'max' }), (given) =>
        fc.asyncModelRun(begin, given),
      ),
      { seed, numRuns: runs, verbose: 1, endOnFailure: true },
    );
    const violations = await checkInvariants(stores, { among: communicationInvariants, bounds });
    expect(violations).toEqual([]);
  },
);
