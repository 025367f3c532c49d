import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createAgent, finalError, type Agent } from '../../src/agent/index.js';
import type { FormationResult } from '../../src/contracts/formation.js';
import { errorTable } from '../../src/contracts/errors.js';
import { waitFor } from '../support/wait-for.js';
import { run, type Ran } from './command-line.js';
import { startManager, type TestManager } from './manager.js';

// Each test starts several processes, which is slow on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let manager: TestManager;
let agents: Agent[] = [];
let env: Readonly<Record<string, string>>;
/** The token of "dan", an agent without a process: only these tests read its inbox. */
let danToken: string;
let clusterId: string;
const received: string[] = [];

beforeAll(async () => {
  manager = await startManager();
  env = { CLUSTER_MANAGER_URL: manager.url, CLUSTER_MANAGER_TOKEN: manager.adminToken };
  agents = ['ada', 'bo', 'cy'].map((id) =>
    createAgent({ id, url: manager.url, token: manager.enrolmentToken, capabilities: ['write'] }),
  );
  for (const agent of agents) {
    agent.onMessage(({ id, type }) => {
      if (type === 'unreadable') throw finalError('cannot \u001b[31mread\u001b[0m this');
      received.push(`${agent.id} ${id}`);
    });
  }
  await Promise.all(agents.map((agent) => agent.start()));
  const answer = await fetch(`${manager.url}/v1/agents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${manager.enrolmentToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id: 'dan', capabilities: ['read'] }),
  });
  danToken = ((await answer.json()) as { token: string }).token;
  const { id } = await manager.api.request({
    type: 'FORMATION',
    name: 'writers',
    requiredCapabilities: ['write'],
    size: { min: 3, desired: 3, max: 3 },
  });
  const formed = await manager.api.waitForOperation(id, { timeoutMs: 60_000 });
  ({ clusterId } = formed.result as FormationResult);
}, 120_000);
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.stop()));
  await manager?.stop();
});

const json = <Shape>({ stdout }: Ran): Shape => JSON.parse(stdout) as Shape;
const errorOf = ({ stderr }: Ran) => (JSON.parse(stderr) as { error: { code: string; message: string } }).error;
const ok = (ran: Ran): Ran => {
  expect(ran.code, ran.stderr).toBe(0);
  return ran;
};

describe('cluster-manager send', () => {
  it('sends a message once per id, and messages show prints its trace hop by hop', async () => {
    const args = ['send', '--agent', 'ada', '--type', 'greeting', '--data', '-', '--id', 'greeting-1'];
    const sent = ok(await run(args, env, { stdin: '"hello"' }));
    expect(sent.stdout).toBe('Accepted: greeting-1, to 1 recipient\nTrace: cluster-manager messages show greeting-1\n');
    const again = json<{ message: object }>(ok(await run([...args, '--json'], env, { stdin: '"hello"' })));
    expect(again.message).toEqual({ id: 'greeting-1', matched: 1, duplicate: true, deadLetter: null });
    const other = await run([...args, '--json'], env, { stdin: '"other"' });
    expect(other).toMatchObject({ code: errorTable.idempotency_conflict.exit, stdout: '' });
    expect(errorOf(other).code).toBe('idempotency_conflict');
    await waitFor(
      'the ack',
      async () => (await manager.api.getReceipt({ params: { id: 'greeting-1' } })).receipt.acked === 1,
    );
    const { stdout } = ok(await run(['messages', 'show', 'greeting-1'], env));
    expect(stdout).toMatch(/^to +agent ada$/m);
    expect(stdout.match(/^\d+ m?s +(\w+)/gm)?.map((line) => line.split(/ +/)[2])).toEqual([
      'accepted',
      'matched',
      'leased',
      'acked',
    ]);
    expect(received.filter((line) => line.endsWith('greeting-1'))).toEqual(['ada greeting-1']);
  });

  it.each([
    ['a capability', ['--capability', 'write'], 1],
    ['a cluster', ['--cluster', 'CLUSTER'], 3],
    ['several clusters', ['--clusters', 'CLUSTER,CLUSTER'], 3],
    ['all clusters', ['--all-clusters'], 3],
  ])('sends a message to %s', async (_what, to, matched) => {
    const args = to.map((arg) => arg.replaceAll('CLUSTER', clusterId));
    const { message } = json<{ message: { matched: number } }>(
      ok(await run(['send', ...args, '--type', 'note', '--json'], env)),
    );
    expect(message.matched).toBe(matched);
  });

  it('reports a message without a recipient as a dead letter, and prints the errors of the manager', async () => {
    const unmatched = ok(await run(['send', '--agent', 'nobody', '--type', 'greeting', '--id', 'to-nobody'], env));
    expect(unmatched.stdout).toContain('Accepted without a recipient: to-nobody is a dead letter (unknown_recipient)');
    const reserved = await run(['send', '--agent', 'ada', '--type', 'cluster.joined', '--json'], env);
    expect(reserved.code).toBe(errorTable.invalid_request.exit);
    expect(errorOf(reserved).message).toContain('must not begin with');
    const withoutAddress = await run(['send', '--type', 'greeting'], env);
    expect(withoutAddress).toMatchObject({ code: errorTable.invalid_request.exit, stdout: '' });
    expect(withoutAddress.stderr).toContain('--agent');
  });
});

describe('cluster-manager broadcast', () => {
  it('waits for the required acks', async () => {
    const args = ['broadcast', clusterId, '--type', 'stop.press', '--require', 'all', '--deadline', '20'];
    const met = ok(await run([...args, '--id', 'stop-press', '--wait'], env));
    expect(met.stdout).toMatch(/^receipt +met: 3 of 3 acked, all are required$/m);
    const { receipt } = json<{ receipt: object }>(ok(await run(['receipts', 'show', 'stop-press', '--json'], env)));
    expect(receipt).toMatchObject({ state: 'met', require: 'all', matched: 3, acked: 3, epoch: 1, clusterId });
    const trace = ok(await run(['messages', 'show', 'stop-press'], env));
    expect(trace.stdout).toMatch(/^operation +op_/m);
  });

  it('exits with code 6 when the requirement is not met, and prints the receipt command without --wait', async () => {
    const args = ['broadcast', clusterId, '--type', 'unreadable', '--require', 'any', '--deadline', '20'];
    const unmet = await run([...args, '--id', 'unreadable-1', '--wait'], env);
    expect(unmet).toMatchObject({ code: errorTable.deadline_exceeded.exit, stderr: '' });
    expect(unmet.stdout).toMatch(/^receipt +unmet: 0 of 3 acked/m);
    expect(unmet.stdout).toMatch(/^not acked +3 dead letters$/m);
    const started = ok(await run(['broadcast', clusterId, '--type', 'note'], env));
    const id = /receipts show (op_\S+\.b0)$/m.exec(started.stdout)?.[1] ?? '';
    await waitFor('the receipt', () => manager.api.getReceipt({ params: { id } }).catch(() => undefined));
    const unknownRequirement = await run(['broadcast', clusterId, '--type', 'note', '--require', 'most'], env);
    expect(unknownRequirement).toMatchObject({ code: errorTable.invalid_request.exit, stdout: '' });
    expect(unknownRequirement.stderr).toContain('none, any, quorum, all');
  });
});

describe('cluster-manager dead-letters', () => {
  it('lists dead letters with their reasons, without control characters that agents wrote', async () => {
    const { stdout } = ok(await run(['dead-letters', 'list', '--reason', 'rejected'], env));
    expect(stdout).toMatch(/^dead_\d+ +dead .*rejected +bo .*unreadable-1/m);
    // eslint-disable-next-line no-control-regex -- that is what must not be there
    expect(stdout).not.toMatch(/\u001b/);
    const list = ['dead-letters', 'list', '--recipient', 'bo', '--limit', '1', '--json'];
    const { deadLetters } = json<{ deadLetters: object[] }>(ok(await run(list, env)));
    expect(deadLetters).toMatchObject([{ recipient: 'bo', reason: 'rejected', state: 'dead', attempts: 1 }]);
  });

  it('replays and discards by id or by filter, and continues after a refusal', async () => {
    const replayed = json<{ replayed: { id: string; matched: number }[]; refused: object[] }>(
      ok(await run(['dead-letters', 'replay', '--all', '--recipient', 'bo', '--json'], env)),
    );
    expect(replayed).toMatchObject({ replayed: [{ matched: 1 }], refused: [] });
    const some = await run(['dead-letters', 'discard', replayed.replayed[0]?.id ?? '', 'dead_999999'], env);
    expect(some).toMatchObject({ code: errorTable.state_conflict.exit });
    expect(some.stderr).toMatch(/was replayed already\n.*"dead_999999" does not exist/);
    const toUnknown = ['dead-letters', 'replay', '--all', '--reason', 'unknown_recipient', '--json'];
    const refused = await run(toUnknown, env);
    expect(errorOf(refused).message).toContain('still has no recipient');
    expect(ok(await run(['dead-letters', 'discard', '--all'], env)).stdout).toMatch(/^dead_\d+ is discarded$/m);
    expect((await run(['dead-letters', 'discard'], env)).code).toBe(errorTable.invalid_request.exit);
  });
});

describe('cluster-manager topics', () => {
  it('creates, shows and deletes topics, and publish reaches their subscribers', async () => {
    await agents[0]?.subscribe('news.*');
    const created = ok(await run(['topics', 'create', 'news.sport', '--keep', 'count:5', '--publisher', 'bo'], env));
    expect(created.stdout).toMatch(/^keeps +the last 5, 0 messages now$/m);
    expect(created.stdout).toMatch(/^publishers +bo$/m);
    const published = ok(await run(['publish', 'news.sport', '--type', 'headline', '--data', '{"text":"1:0"}'], env));
    expect(published.stdout).toMatch(/^Accepted: msg_\S+, to 1 recipient$/m);
    expect(ok(await run(['topics', 'subscribers', 'news.sport'], env)).stdout).toBe(
      'AGENT  PATTERN  STATE\nada    news.*   active\n',
    );
    const { topics } = json<{ topics: object[] }>(ok(await run(['topics', 'list', '--json'], env)));
    expect(topics).toMatchObject([{ name: 'news.sport', retained: 1, publish: { agents: ['bo'], clusters: [] } }]);
    const deleted = ok(await run(['topics', 'delete', 'news.sport', '--force'], env));
    expect(deleted.stdout).toMatch(/^Topic news\.sport is deleted/);
    expect((await run(['topics', 'show', 'news.sport'], env)).code).toBe(errorTable.not_found.exit);
    const wildcard = await run(['publish', 'news.*', '--type', 'headline'], env);
    expect(wildcard).toMatchObject({ code: errorTable.invalid_request.exit, stdout: '' });
    expect(wildcard.stderr).toContain('wildcards are for subscriptions');
  });
});

describe('cluster-manager inbox', () => {
  it("acknowledges with the agent's own token only, and leases nothing with another token", async () => {
    await manager.api.sendMessages({
      body: { messages: [{ to: { agent: 'dan' }, type: 'note', data: { n: 1 }, id: 'for-dan' }] },
    });
    const refused = await run(['inbox', 'dan', '--ack'], env);
    expect(refused).toMatchObject({ code: errorTable.forbidden.exit, stdout: '' });
    expect(refused.stderr).toContain('needs agent "dan"\'s own token');
    const own = { ...env, CLUSTER_MANAGER_TOKEN: danToken };
    const acked = ok(await run(['inbox', 'dan', '--ack'], own));
    expect(acked.stdout).toMatch(/^dl_\S+ +1 .*\/admin\/\S+ +note +for-dan +\{"n":1\}$/m);
    expect(acked.stderr).toBe('Acknowledged: 1\n');
    expect(ok(await run(['inbox', 'dan'], own)).stdout).toBe(
      'No deliveries for dan: the others, if any, are leased.\n',
    );
    expect((await run(['inbox', 'bo'], own)).code).toBe(errorTable.not_found.exit);
  });

  it("leases the deliveries that an admin reads, and prints the lease's end", async () => {
    await manager.api.sendMessages({
      body: { messages: [{ to: { agent: 'dan' }, type: 'note', data: null, id: 'for-dan-2' }] },
    });
    const read = ok(await run(['inbox', 'dan', '--wait', '5'], env));
    expect(read.stdout).toContain('for-dan-2');
    expect(read.stderr).toMatch(/^Not acknowledged: 1 delivery of dan, leased until \d{4}-/);
    const { deliveries } = json<{ deliveries: object[] }>(ok(await run(['inbox', 'dan', '--json'], env)));
    expect(deliveries).toEqual([]);
  });
});

it('cluster-manager clusters show prints how long deliveries took', async () => {
  const shown = ok(await run(['clusters', 'show', clusterId], env));
  expect(shown.stdout).toMatch(/^time to delivery +(\d+ deliver(y|ies), p50 \d|none yet)/m);
});
