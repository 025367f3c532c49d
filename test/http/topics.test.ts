import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentStatusSync } from '../../src/maintenance/agent-status-sync.js';
import { pruneMessages } from '../../src/maintenance/message-cleaner.js';
import { expireMessagesAndSubscriptions } from '../../src/maintenance/message-expirer.js';
import { closeInbox } from '../../src/stores/communication/index.js';
import type { NewSubscription, NewTopic, SubscriptionView, TopicView } from '../../src/contracts/topics.js';
import { waitFor } from '../support/wait-for.js';
import { codeOf, idsOf, messagingOf, only, type MessagingCalls } from './messaging-fixture.js';
import { startTestApi, type Answer, type TestApi } from './support.js';

let test: TestApi;
let messaging: MessagingCalls;
beforeAll(async () => {
  test = await startTestApi();
  messaging = messagingOf(test);
});
afterAll(() => test.stop());

const create = (topic: NewTopic, token = test.tokens.orchestrator) =>
  test.call('POST', '/v1/topics', { token, body: topic });
const topicOf = async (name: string): Promise<TopicView> => {
  const answer = await test.call('GET', `/v1/topics/${name}`, { token: test.tokens.viewer });
  return (answer.body as { topic: TopicView }).topic;
};
const subscribe = (agentId: string, token: string, body: NewSubscription) =>
  test.call('POST', `/v1/agents/${agentId}/subscriptions`, { token, body });
const subscribed = ({ body }: Answer) => body as { subscription: SubscriptionView; retained: number };
const subscriptions = async (agentId: string): Promise<SubscriptionView[]> => {
  const answer = await test.call('GET', `/v1/agents/${agentId}/subscriptions`, { token: test.tokens.viewer });
  return (answer.body as { subscriptions: SubscriptionView[] }).subscriptions;
};
const publish = async (name: string, id: string, more: object = {}) =>
  only(await messaging.send(test.tokens.orchestrator, { id, to: { topic: name }, ...more }));
const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];
/** Registers an agent with a subscription. @returns the agent's token. */
const listener = async (agentId: string, wanted: NewSubscription): Promise<string> => {
  const token = await test.register(agentId);
  const answer = await subscribe(agentId, token, wanted);
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return token;
};

describe('a topic', () => {
  it('a topic is created once, repeating it changes nothing, and other settings under its name are a conflict', async () => {
    const topic: NewTopic = { name: 'made.once', retention: { keep: 'count', count: 3 } };
    const first = await create(topic);
    expect(first.status).toBe(201);
    expect((first.body as { topic: TopicView }).topic).toMatchObject({
      name: 'made.once',
      owner: expect.stringMatching(/^\/orchestrator\/tok_/) as string,
      state: 'open',
      retention: { keep: 'count', count: 3 },
      publish: null,
      subscribe: null,
      maxSubscribers: 10_000,
      subscribers: [],
      retained: 0,
      pending: 0,
    });
    expect((await create(topic)).status).toBe(200);
    expect(refusal(await create({ ...topic, maxSubscribers: 7 }))).toEqual([409, 'state_conflict']);
    const many = await Promise.all(Array.from({ length: 10 }, () => create({ name: 'made.at-once' })));
    expect(many.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      ...Array.from({ length: 9 }, () => 200),
      201,
    ]);
  });

  it('topics are listed by name, page by page, and shown with their subscribers', async () => {
    for (const name of ['zz.a', 'zz.b', 'zz.c']) await create({ name });
    await listener('shown', { pattern: 'zz.*', queueGroup: 'team' });
    const first = await test.call('GET', '/v1/topics?limit=200', { token: test.tokens.viewer });
    const names = (first.body as { topics: TopicView[] }).topics.map(({ name }) => name);
    expect(names.slice(-3)).toEqual(['zz.a', 'zz.b', 'zz.c']);
    const page = await test.call('GET', '/v1/topics?limit=2', { token: test.tokens.viewer });
    const { topics, nextCursor } = page.body as { topics: TopicView[]; nextCursor: string };
    const rest = await test.call('GET', `/v1/topics?limit=200&cursor=${nextCursor}`, { token: test.tokens.viewer });
    expect([...topics, ...(rest.body as { topics: TopicView[] }).topics].map(({ name }) => name)).toEqual(names);
    expect((await topicOf('zz.b')).subscribers).toEqual([
      { agentId: 'shown', pattern: 'zz.*', queueGroup: 'team', suspended: false },
    ]);
    expect((await test.call('GET', '/v1/topics/zz.none', { token: test.tokens.viewer })).status).toBe(404);
  });

  it.each([
    ['a wildcard', 'a.*', 'name'],
    ['an empty token', 'a..b', 'name'],
    ['a space', 'a b', 'name'],
    ['eleven tokens', Array.from({ length: 11 }, () => 'a').join('.'), 'name'],
    ['no characters', '', 'name'],
  ])('a topic name with %s is refused', async (_what, name, where) => {
    const answer = await create({ name });
    expect(refusal(answer)).toEqual([400, 'invalid_request']);
    expect((answer.body as { errors: { path: string }[] }).errors[0]?.path).toBe(where);
  });

  it('a topic can be deleted only by its owner and by operators', async () => {
    const [owner, other] = [await test.register('owner'), await test.register('not-owner')];
    await create({ name: 'owned' }, owner);
    expect(refusal(await test.call('DELETE', '/v1/topics/owned', { token: other }))).toEqual([403, 'forbidden']);
    expect((await test.call('DELETE', '/v1/topics/owned', { token: owner })).body).toEqual({
      name: 'owned',
      state: 'deleted',
      deadLettered: 0,
    });
    expect((await test.call('DELETE', '/v1/topics/owned', { token: owner })).status).toBe(404);
    await create({ name: 'owned' }, owner);
    expect((await test.call('DELETE', '/v1/topics/owned', { token: test.tokens.admin })).status).toBe(200);
  });

  it('a draining topic delivers its open messages, accepts no new ones, and is deleted after the last ack', async () => {
    await create({ name: 'draining' });
    const token = await listener('drained', { pattern: 'draining' });
    await publish('draining', 'last-word');
    expect((await test.call('DELETE', '/v1/topics/draining', { token: test.tokens.admin })).body).toEqual({
      name: 'draining',
      state: 'draining',
      deadLettered: 0,
    });
    expect(await topicOf('draining')).toMatchObject({ state: 'draining', pending: 1 });
    expect(await publish('draining', 'too-late')).toMatchObject({ matched: 0, deadLetter: 'unknown_topic' });
    expect(refusal(await create({ name: 'draining' }))).toEqual([409, 'state_conflict']);
    const delivery = only(await messaging.receive('drained', token));
    expect(delivery.message).toMatchObject({ id: 'last-word', topic: 'draining' });
    await expireMessagesAndSubscriptions(test.maintenance);
    expect(await topicOf('draining')).toMatchObject({ state: 'draining' });
    await messaging.settle(token, delivery);
    await expireMessagesAndSubscriptions(test.maintenance);
    expect((await test.call('GET', '/v1/topics/draining', { token })).status).toBe(404);
    expect((await create({ name: 'draining' })).status).toBe(201);
  });

  it('deleting a topic by force turns its open deliveries into dead letters', async () => {
    await create({ name: 'forced', retention: { keep: 'last' } });
    const tokens = [await listener('forced-1', { pattern: 'forced' }), await listener('forced-2', { pattern: '*' })];
    await publish('forced', 'cut-off');
    const held = only(await messaging.receive('forced-1', tokens[0] ?? ''));
    const answer = await test.call('DELETE', '/v1/topics/forced?mode=force', { token: test.tokens.admin });
    expect(answer.body).toEqual({ name: 'forced', state: 'deleted', deadLettered: 2 });
    expect(refusal(await messaging.settle(tokens[0] ?? '', held))).toEqual([409, 'stale_lease']);
    expect(await messaging.receive('forced-2', tokens[1] ?? '')).toEqual([]);
    await test.call('DELETE', '/v1/agents/forced-2', { token: test.tokens.admin });
    const letters = await messaging.deadLetters('?reason=topic_deleted');
    expect(letters.map(({ recipient }) => String(recipient)).sort()).toEqual(['forced-1', 'forced-2']);
  });
});

describe('publishing', () => {
  it('a published message is delivered once to each agent with a matching pattern, except its sender', async () => {
    for (const name of ['orders.eu.created', 'orders.us.created', 'orders']) await create({ name });
    const patterns: Readonly<Record<string, readonly string[]>> = {
      exact: ['orders.eu.created'],
      star: ['orders.*.created'],
      rest: ['orders.>'],
      twice: ['orders.>', 'orders.eu.*', '*.*.created'],
      all: ['>'],
      other: ['orders.us.*', 'orders.*', 'orders'],
    };
    const tokens = new Map<string, string>();
    for (const [id, wanted] of Object.entries(patterns)) {
      tokens.set(id, await test.register(id));
      for (const pattern of wanted) await subscribe(id, tokens.get(id) ?? '', { pattern });
    }
    const result = only(
      await messaging.send(tokens.get('all') ?? '', { id: 'eu-1', to: { topic: 'orders.eu.created' } }),
    );
    expect(result).toEqual({ id: 'eu-1', accepted: true, matched: 4 });
    const reached: string[] = [];
    for (const [id, token] of tokens) {
      const received = await messaging.receive(id, token);
      if (received.length > 0) reached.push(id);
      expect(received.length).toBeLessThanOrEqual(1);
    }
    expect(reached).toEqual(['exact', 'star', 'rest', 'twice']);
    for (const id of tokens.keys()) await test.call('DELETE', `/v1/agents/${id}`, { token: test.tokens.admin });
  });

  it('a published message is delivered to one agent of each queue group in turn and to every subscriber without a group', async () => {
    await create({ name: 'jobs' });
    const plain = await listener('plain', { pattern: 'jobs' });
    const group = new Map<string, string>();
    for (const id of ['g1', 'g2', 'g3']) group.set(id, await listener(id, { pattern: 'jobs', queueGroup: 'workers' }));
    const audit = await listener('auditor', { pattern: 'jobs', queueGroup: 'audit' });
    for (let index = 0; index < 12; index += 1) {
      expect(await publish('jobs', `job-${index}`)).toMatchObject({ matched: 3 });
    }
    const all = Array.from({ length: 12 }, (_, index) => `job-${index}`);
    expect(idsOf(await messaging.receive('plain', plain, '?max=50'))).toEqual(all);
    expect(idsOf(await messaging.receive('auditor', audit, '?max=50'))).toEqual(all);
    const shares: string[][] = [];
    for (const [id, token] of group) shares.push(idsOf(await messaging.receive(id, token, '?max=50')));
    expect(shares.flat().sort()).toEqual(all.sort());
    for (const share of shares) expect(share.length).toBeGreaterThan(1);
  });
});

describe('retention', () => {
  const retaining = async (retention: NewTopic['retention'], name: string, amount = 4) => {
    await create({ name, ...(retention ? { retention } : {}) });
    for (let index = 1; index <= amount; index += 1) await publish(name, `${name}-${index}`);
  };
  const late = async (agentId: string, wanted: NewSubscription) => {
    const token = await test.register(agentId);
    const { retained } = subscribed(await subscribe(agentId, token, wanted));
    return { retained, token, received: idsOf(await messaging.receive(agentId, token, '?max=100')) };
  };

  it('with retention none, a late subscriber gets nothing, and a message without subscribers is a dead letter', async () => {
    await retaining({ keep: 'none' }, 'keep.none', 1);
    expect(await late('late-none', { pattern: 'keep.none' })).toMatchObject({ retained: 0, received: [] });
    expect(only((await messaging.deadLetters()).filter(({ messageId }) => messageId === 'keep.none-1'))).toMatchObject({
      reason: 'no_subscriber',
    });
  });

  it('with retention last, a late subscriber gets the last message once', async () => {
    await retaining({ keep: 'last' }, 'keep.last');
    expect(await topicOf('keep.last')).toMatchObject({ retained: 1 });
    const { token, ...first } = await late('late-last', { pattern: 'keep.last' });
    expect(first).toEqual({ retained: 1, received: ['keep.last-4'] });
    expect(subscribed(await subscribe('late-last', token, { pattern: 'keep.last' }))).toMatchObject({ retained: 0 });
    expect(subscribed(await subscribe('late-last', token, { pattern: 'keep.*' }))).toMatchObject({ retained: 0 });
    expect((await messaging.deadLetters()).filter(({ messageId }) => messageId.startsWith('keep.last'))).toEqual([]);
  });

  it('with retention count, a late subscriber gets that many of the last messages, oldest first', async () => {
    await retaining({ keep: 'count', count: 2 }, 'keep.count');
    expect((await late('late-count', { pattern: 'keep.count' })).received).toEqual(['keep.count-3', 'keep.count-4']);
  });

  it('with retention duration, a late subscriber gets only messages younger than that', async () => {
    await retaining({ keep: 'duration', seconds: 1 }, 'keep.duration', 1);
    await waitFor('the retained message to be deleted', async () => {
      await pruneMessages(test.maintenance);
      return (await topicOf('keep.duration')).retained === 0;
    });
    await publish('keep.duration', 'young');
    expect((await late('late-duration', { pattern: 'keep.duration' })).received).toEqual(['young']);
  });

  it('retained messages of all matching topics go to a wildcard subscriber, unless it opted out or is in a queue group', async () => {
    await retaining({ keep: 'last' }, 'multi.a', 2);
    await retaining({ keep: 'last' }, 'multi.b', 2);
    expect((await late('late-multi', { pattern: 'multi.*' })).received).toEqual(['multi.a-2', 'multi.b-2']);
    expect((await late('late-not', { pattern: 'multi.*', retained: false })).received).toEqual([]);
    expect((await late('late-group', { pattern: 'multi.*', queueGroup: 'g' })).received).toEqual([]);
  });

  it('retained messages of a draining topic are not delivered to new subscribers', async () => {
    await retaining({ keep: 'last' }, 'drains.kept', 1);
    const token = await listener('drains-1', { pattern: 'drains.kept' });
    await test.call('DELETE', '/v1/topics/drains.kept', { token: test.tokens.admin });
    expect(await late('late-drains', { pattern: 'drains.*' })).toMatchObject({ retained: 0, received: [] });
    expect(await late('late-drains-2', { pattern: 'drains.kept' })).toMatchObject({ retained: 0, received: [] });
    expect(await messaging.receive('drains-1', token)).toHaveLength(1);
  });
});

describe('access lists', () => {
  it('only listed agents, members of listed clusters and operators can publish to a topic', async () => {
    const [named, member, stranger] = [
      await test.register('pub-named'),
      await test.register('pub-member'),
      await test.register('pub-stranger'),
    ];
    await messaging.route('cl_pub', { 'pub-member': [] });
    await create({ name: 'acl.pub', publish: { agents: ['pub-named'], clusters: ['cl_pub'] } });
    const reader = await listener('acl-reader', { pattern: 'acl.pub' });
    const to = { topic: 'acl.pub' };
    const results = [];
    for (const [index, token] of [named, member, stranger, test.tokens.orchestrator].entries()) {
      results.push(only(await messaging.send(token, { id: `acl-${index}`, to })));
    }
    expect(results.map(({ accepted }) => accepted)).toEqual([true, true, false, true]);
    expect(results[2]).toMatchObject({ error: { code: 'forbidden' } });
    expect(idsOf(await messaging.receive('acl-reader', reader))).toEqual(['acl-0', 'acl-1', 'acl-3']);
    await messaging.route('cl_pub', { 'acl-reader': [] }, 2);
    expect(only(await messaging.send(member, { id: 'acl-9', to }))).toMatchObject({ error: { code: 'forbidden' } });
  });

  it('only listed agents can receive from a topic, also by a wildcard older than the topic', async () => {
    const early = await listener('early-bird', { pattern: 'secret.>' });
    const listed = await listener('listed', { pattern: 'secret.*' });
    await create({
      name: 'secret.plans',
      subscribe: { agents: ['listed'], clusters: [] },
      retention: { keep: 'last' },
    });
    expect(await publish('secret.plans', 'plan-1')).toMatchObject({ matched: 1 });
    expect(await messaging.receive('early-bird', early)).toEqual([]);
    expect(idsOf(await messaging.receive('listed', listed))).toEqual(['plan-1']);
    expect(refusal(await subscribe('early-bird', early, { pattern: 'secret.plans' }))).toEqual([403, 'forbidden']);
    // Retained messages are not delivered by another pattern either.
    expect(subscribed(await subscribe('early-bird', early, { pattern: '*.plans' }))).toMatchObject({ retained: 0 });
    expect(await messaging.receive('early-bird', early)).toEqual([]);
    // Nor when an operator subscribes the agent.
    const byOperator = await subscribe('early-bird', test.tokens.orchestrator, { pattern: 'secret.plans' });
    expect(refusal(byOperator)).toEqual([403, 'forbidden']);
  });

  it('the access list of a topic follows the membership of its clusters', async () => {
    const token = await listener('joins-later', { pattern: 'members.*' });
    await create({ name: 'members.only', subscribe: { agents: [], clusters: ['cl_members'] } });
    expect(await publish('members.only', 'mo-1')).toMatchObject({ matched: 0, deadLetter: 'no_subscriber' });
    await messaging.route('cl_members', { 'joins-later': [] });
    expect(await publish('members.only', 'mo-2')).toMatchObject({ matched: 1 });
    expect(idsOf(await messaging.receive('joins-later', token))).toEqual(['mo-2']);
  });
});

describe('a subscription', () => {
  it('a repeated subscription is the same one, and ends by its id', async () => {
    const token = await test.register('s-once');
    const first = subscribed(await subscribe('s-once', token, { pattern: 'a.b' }));
    const again = subscribed(await subscribe('s-once', token, { pattern: 'a.b' }));
    expect(again.subscription).toEqual(first.subscription);
    const grouped = subscribed(await subscribe('s-once', token, { pattern: 'a.b', queueGroup: 'g' }));
    expect(grouped.subscription.id).not.toBe(first.subscription.id);
    expect((await subscriptions('s-once')).map(({ queueGroup }) => queueGroup)).toEqual(['g', null]);
    const end = (id: string) => test.call('DELETE', `/v1/agents/s-once/subscriptions/${id}`, { token });
    expect((await end(first.subscription.id)).body).toEqual({ id: first.subscription.id, ended: true });
    expect((await end(first.subscription.id)).status).toBe(404);
    expect(await subscriptions('s-once')).toHaveLength(1);
  });

  it('a subscription of an unknown agent is refused', async () => {
    const answer = await subscribe('nobody-here', test.tokens.admin, { pattern: 'a' });
    expect(refusal(answer)).toEqual([404, 'not_found']);
    const listed = await test.call('GET', '/v1/agents/nobody-here/subscriptions', { token: test.tokens.admin });
    expect(refusal(listed)).toEqual([404, 'not_found']);
  });

  it('a subscription above max_subscribers is refused, also under concurrent subscriptions', async () => {
    await create({ name: 'tight', maxSubscribers: 2 });
    const ids = Array.from({ length: 8 }, (_, index) => `tight-${index}`);
    const tokens = await Promise.all(ids.map((id) => test.register(id)));
    const answers = await Promise.all(ids.map((id, index) => subscribe(id, tokens[index] ?? '', { pattern: 'tight' })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(2);
    expect(answers.filter(({ status }) => status === 409).map(codeOf)).toEqual(
      Array.from({ length: 6 }, () => 'state_conflict'),
    );
    const { subscribers } = await topicOf('tight');
    expect(subscribers).toHaveLength(2);
    // Repeating one of the two subscriptions is allowed.
    const inside = subscribers[0]?.agentId ?? '';
    expect((await subscribe(inside, tokens[ids.indexOf(inside)] ?? '', { pattern: 'tight' })).status).toBe(201);
  });

  it("a subscription is suspended while its agent's lease has expired, resumes on a heartbeat, and ends after the grace", async () => {
    await create({ name: 'leased' });
    const { leaseSeconds } = test.deps.config();
    test.configure({ leaseSeconds: 1 });
    const token = await listener('lapses', { pattern: 'leased' });
    test.configure({ leaseSeconds });
    const follow = agentStatusSync(test.maintenance);
    const isSuspended = async (): Promise<boolean> => {
      await follow();
      return (await subscriptions('lapses'))[0]?.suspended ?? false;
    };
    expect(await publish('leased', 'le-1')).toMatchObject({ matched: 1 });
    await waitFor('the lease to expire', isSuspended);
    expect(await publish('leased', 'le-2')).toMatchObject({ matched: 0, deadLetter: 'no_subscriber' });
    expect((await topicOf('leased')).subscribers).toMatchObject([{ agentId: 'lapses', suspended: true }]);
    // Within the grace it is only suspended.
    await expireMessagesAndSubscriptions(test.maintenance);
    await test.call('POST', '/v1/agents/lapses/heartbeat', { token, body: {} });
    expect(await isSuspended()).toBe(false);
    expect(await publish('leased', 'le-3')).toMatchObject({ matched: 1 });
    expect(idsOf(await messaging.receive('lapses', token))).toEqual(['le-1', 'le-3']);

    test.configure({ leaseSeconds: 1 });
    await test.call('POST', '/v1/agents/lapses/heartbeat', { token, body: {} });
    test.configure({ leaseSeconds });
    await waitFor('the lease to expire again', isSuspended);
    messaging.tune({ subscriptionGraceSeconds: 0 });
    await expireMessagesAndSubscriptions(test.maintenance);
    messaging.tune({ subscriptionGraceSeconds: 120 });
    expect(await subscriptions('lapses')).toEqual([]);
    await test.call('POST', '/v1/agents/lapses/heartbeat', { token, body: {} });
    await follow();
    expect(await publish('leased', 'le-4')).toMatchObject({ matched: 0 });
  });

  it('a subscription ends when its agent leaves', async () => {
    const token = await listener('s-leaves', { pattern: 'x.y' });
    await test.call('DELETE', '/v1/agents/s-leaves', { token });
    const back = await test.register('s-leaves');
    const answer = await test.call('GET', '/v1/agents/s-leaves/subscriptions', { token: back });
    expect(answer.body).toEqual({ subscriptions: [] });
  });

  it.each(['a..b', '>.a', 'a.>.b', 'a b', '**', 'a*', ''])(
    'a subscription to the invalid pattern "%s" is refused',
    async (pattern) => {
      const token = await test.register('s-bad');
      expect(refusal(await subscribe('s-bad', token, { pattern }))).toEqual([400, 'invalid_request']);
    },
  );

  it('open deliveries of a queue group are re-addressed to another of its agents when one leaves', async () => {
    await create({ name: 'handed' });
    const [one, two] = [
      await listener('h-1', { pattern: 'handed', queueGroup: 'g' }),
      await listener('h-2', { pattern: 'handed', queueGroup: 'g' }),
    ];
    for (const id of ['ha-1', 'ha-2', 'ha-3', 'ha-4']) await publish('handed', id);
    await test.call('DELETE', '/v1/agents/h-1', { token: one });
    expect(idsOf(await messaging.receive('h-2', two, '?max=10')).sort()).toEqual(['ha-1', 'ha-2', 'ha-3', 'ha-4']);
    const traces = await Promise.all(['ha-1', 'ha-2', 'ha-3', 'ha-4'].map((id) => messaging.trace(id)));
    const moved = traces.filter(({ hops }) => hops.some(({ what }) => what === 're_addressed'));
    expect(moved.length).toBeGreaterThan(0);
    for (const { hops, deliveries } of moved) {
      expect(hops.map(({ what, recipient }) => [what, recipient])).toEqual([
        ['accepted', null],
        ['matched', null],
        ['re_addressed', 'h-1'],
        ['leased', 'h-2'],
      ]);
      expect(deliveries.map(({ recipient, state }) => [recipient, state])).toEqual([
        ['h-1', 're_addressed'],
        ['h-2', 'leased'],
      ]);
    }
  });
});

it('an inbox that is closed under a living agent is opened again by the sync of agent statuses', async () => {
  const token = await test.register('closed-under');
  await closeInbox(test.databases.communication, 'closed-under');
  const send = () => messaging.send(test.tokens.orchestrator, { to: { agent: 'closed-under' } });
  expect(only(await send())).toMatchObject({ deadLetter: expect.stringContaining('unknown_recipient') as string });
  await agentStatusSync(test.maintenance)();
  expect(only(await send())).not.toHaveProperty('deadLetter');
  expect(await messaging.receive('closed-under', token)).toHaveLength(1);
});

describe('a topic that cannot be pruned', () => {
  it('a message that was committed is answered as accepted and delivered once, although its topic cannot be pruned', async () => {
    await create({ name: 'unprunable', retention: { keep: 'count', count: 1 } });
    const token = await listener('reads-unprunable', { pattern: 'unprunable' });
    await sql`create function refuse_to_prune() returns trigger language plpgsql as $$
      begin raise exception 'retained messages cannot be deleted'; end $$`.execute(test.databases.communication);
    await sql`create trigger refuse_to_prune before delete on retained_messages
      for each row execute function refuse_to_prune()`.execute(test.databases.communication);
    try {
      const answers = [];
      for (let count = 0; count < 6; count += 1) {
        const body = { messages: [{ to: { topic: 'unprunable' }, type: 'task', data: count }] };
        answers.push(await test.call('POST', '/v1/messages', { token: test.tokens.orchestrator, body }));
      }
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202, 202]);
      const inbox = await test.call('GET', '/v1/agents/reads-unprunable/inbox?max=100', { token });
      const { deliveries } = inbox.body as { deliveries: { message: { data: unknown } }[] };
      expect(deliveries.map(({ message }) => message.data)).toEqual([0, 1, 2, 3, 4, 5]);
    } finally {
      await sql`drop trigger refuse_to_prune on retained_messages`.execute(test.databases.communication);
    }
  });
});
