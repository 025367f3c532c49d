import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createAgent, finalError, type Agent } from '../../src/agent/index.js';
import type { FormationResult } from '../../src/contracts/formation.js';
import { errorTable } from '../../src/contracts/errors.js';
import { waitFor } from '../support/wait-for.js';
import { run, type Ran } from './command-line.js';
import { startManager, type TestManager } from './manager.js';

// Each test starts some programs, which take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let manager: TestManager;
let agents: Agent[] = [];
let env: Readonly<Record<string, string>>;
/** Of "dan", whose mail nobody takes but these tests. */
let dansToken: string;
let clusterId: string;
const heard: string[] = [];

beforeAll(async () => {
  manager = await startManager();
  env = { CLUSTER_MANAGER_URL: manager.url, CLUSTER_MANAGER_TOKEN: manager.adminToken };
  agents = ['ada', 'bo', 'cy'].map((id) =>
    createAgent({ id, url: manager.url, token: manager.enrolmentToken, capabilities: ['write'] }),
  );
  for (const agent of agents) {
    agent.onMessage(({ id, type }) => {
      if (type === 'unreadable') throw finalError('cannot \u001b[31mread\u001b[0m this');
      heard.push(`${agent.id} ${id}`);
    });
  }
  await Promise.all(agents.map((agent) => agent.start()));
  const answer = await fetch(`${manager.url}/v1/agents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${manager.enrolmentToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id: 'dan', capabilities: ['read'] }),
  });
  dansToken = ((await answer.json()) as { token: string }).token;
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

describe('send', () => {
  it('sends once, and the way of the message is told hop by hop', async () => {
    const args = ['send', '--agent', 'ada', '--type', 'greeting', '--data', '-', '--id', 'greeting-1'];
    const sent = ok(await run(args, env, { stdin: '"hello"' }));
    expect(sent.stdout).toBe(
      'Accepted: greeting-1, to 1 recipient\nIts way: cluster-manager messages show greeting-1\n',
    );
    const again = json<{ message: object }>(ok(await run([...args, '--json'], env, { stdin: '"hello"' })));
    expect(again.message).toEqual({ id: 'greeting-1', matched: 1, duplicate: true, deadLetter: null });
    const other = await run([...args, '--json'], env, { stdin: '"other"' });
    expect(other).toMatchObject({ code: errorTable.idempotency_conflict.exit, stdout: '' });
    expect(errorOf(other).code).toBe('idempotency_conflict');
    await waitFor('the ack', async () => (await manager.api.receipt('greeting-1')).acked === 1);
    const { stdout } = ok(await run(['messages', 'show', 'greeting-1'], env));
    expect(stdout).toMatch(/^to +agent ada$/m);
    expect(stdout.match(/^\d+ m?s +(\w+)/gm)?.map((line) => line.split(/ +/)[2])).toEqual([
      'accepted',
      'matched',
      'leased',
      'acked',
    ]);
    expect(heard.filter((line) => line.endsWith('greeting-1'))).toEqual(['ada greeting-1']);
  });

  it.each([
    ['a capability', ['--capability', 'write'], 1],
    ['a cluster', ['--cluster', 'CLUSTER'], 3],
    ['several clusters', ['--clusters', 'CLUSTER,CLUSTER'], 3],
    ['all clusters', ['--all-clusters'], 3],
  ])('reaches %s', async (_what, to, matched) => {
    const args = to.map((arg) => arg.replaceAll('CLUSTER', clusterId));
    const { message } = json<{ message: { matched: number } }>(
      ok(await run(['send', ...args, '--type', 'note', '--json'], env)),
    );
    expect(message.matched).toBe(matched);
  });

  it('says that nobody was there, and what the manager refuses', async () => {
    const nobody = ok(await run(['send', '--agent', 'nobody', '--type', 'greeting', '--id', 'to-nobody'], env));
    expect(nobody.stdout).toContain('nobody was there to take it: to-nobody is a dead letter (unknown_recipient)');
    const reserved = await run(['send', '--agent', 'ada', '--type', 'cluster.joined', '--json'], env);
    expect(reserved.code).toBe(errorTable.invalid_request.exit);
    expect(errorOf(reserved).message).toContain('must not begin with');
    const addressless = await run(['send', '--type', 'greeting'], env);
    expect(addressless).toMatchObject({ code: errorTable.invalid_request.exit, stdout: '' });
    expect(addressless.stderr).toContain('--agent');
  });
});

describe('broadcast', () => {
  it('waits for the acks that it requires', async () => {
    const args = ['broadcast', clusterId, '--type', 'stop.press', '--require', 'all', '--deadline', '20'];
    const met = ok(await run([...args, '--id', 'stop-press', '--wait'], env));
    expect(met.stdout).toMatch(/^receipt +met: 3 of 3 acked, everybody's ack is required$/m);
    const { receipt } = json<{ receipt: object }>(ok(await run(['receipts', 'show', 'stop-press', '--json'], env)));
    expect(receipt).toMatchObject({ state: 'met', require: 'all', matched: 3, acked: 3, epoch: 1, clusterId });
    const way = ok(await run(['messages', 'show', 'stop-press'], env));
    expect(way.stdout).toMatch(/^operation +op_/m);
  });

  it('ends with exit code 6 when the requirement is not met, and goes on alone without --wait', async () => {
    const args = ['broadcast', clusterId, '--type', 'unreadable', '--require', 'any', '--deadline', '20'];
    const unmet = await run([...args, '--id', 'unreadable-1', '--wait'], env);
    expect(unmet).toMatchObject({ code: errorTable.deadline_exceeded.exit, stderr: '' });
    expect(unmet.stdout).toMatch(/^receipt +unmet: 0 of 3 acked/m);
    expect(unmet.stdout).toMatch(/^not acked +3 dead letters$/m);
    const started = ok(await run(['broadcast', clusterId, '--type', 'note'], env));
    const id = /receipts show (op_\S+\.b0)$/m.exec(started.stdout)?.[1] ?? '';
    await waitFor('the receipt', () => manager.api.receipt(id).catch(() => undefined));
    const strange = await run(['broadcast', clusterId, '--type', 'note', '--require', 'most'], env);
    expect(strange).toMatchObject({ code: errorTable.invalid_request.exit, stdout: '' });
    expect(strange.stderr).toContain('none, any, quorum, all');
  });
});

describe('dead letters', () => {
  it('are listed with their reason, no text of which reaches the terminal as a command', async () => {
    const { stdout } = ok(await run(['dead-letters', 'list', '--reason', 'rejected'], env));
    expect(stdout).toMatch(/^dead_\d+ +dead .*rejected +bo .*unreadable-1/m);
    // eslint-disable-next-line no-control-regex -- that is what must not be there
    expect(stdout).not.toMatch(/\u001b/);
    const list = ['dead-letters', 'list', '--recipient', 'bo', '--limit', '1', '--json'];
    const { deadLetters } = json<{ deadLetters: object[] }>(ok(await run(list, env)));
    expect(deadLetters).toMatchObject([{ recipient: 'bo', reason: 'rejected', state: 'dead', attempts: 1 }]);
  });

  it('are replayed and discarded by id or by what they have in common; what is refused holds up nothing', async () => {
    const replayed = json<{ replayed: { id: string; matched: number }[]; refused: object[] }>(
      ok(await run(['dead-letters', 'replay', '--all', '--recipient', 'bo', '--json'], env)),
    );
    expect(replayed).toMatchObject({ replayed: [{ matched: 1 }], refused: [] });
    const some = await run(['dead-letters', 'discard', replayed.replayed[0]?.id ?? '', 'dead_999999'], env);
    expect(some).toMatchObject({ code: errorTable.state_conflict.exit });
    expect(some.stderr).toMatch(/was replayed already\n.*no dead letter "dead_999999"/);
    const nobody = ['dead-letters', 'replay', '--all', '--reason', 'unknown_recipient', '--json'];
    const refused = await run(nobody, env);
    expect(errorOf(refused).message).toContain('still has no recipient');
    expect(ok(await run(['dead-letters', 'discard', '--all'], env)).stdout).toMatch(/^dead_\d+ is discarded$/m);
    expect((await run(['dead-letters', 'discard'], env)).code).toBe(errorTable.invalid_request.exit);
  });
});

describe('topics', () => {
  it('are made, published to, shown with their subscribers and deleted', async () => {
    await agents[0]?.subscribe('news.*');
    const made = ok(await run(['topics', 'create', 'news.sport', '--keep', 'count:5', '--publisher', 'bo'], env));
    expect(made.stdout).toMatch(/^keeps +the last 5, 0 messages now$/m);
    expect(made.stdout).toMatch(/^publishers +bo$/m);
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

describe('inbox', () => {
  it('is acked with the agent’s own token only, and a token that may not has taken nothing', async () => {
    await manager.api.sendMessages([{ to: { agent: 'dan' }, type: 'note', data: { n: 1 }, id: 'for-dan' }]);
    const refused = await run(['inbox', 'dan', '--ack'], env);
    expect(refused).toMatchObject({ code: errorTable.forbidden.exit, stdout: '' });
    expect(refused.stderr).toContain('the own token of agent "dan"');
    const own = { ...env, CLUSTER_MANAGER_TOKEN: dansToken };
    const acked = ok(await run(['inbox', 'dan', '--ack'], own));
    expect(acked.stdout).toMatch(/^dl_\S+ +1 .*\/admin\/\S+ +note +for-dan +\{"n":1\}$/m);
    expect(acked.stderr).toBe('Acked: 1\n');
    expect(ok(await run(['inbox', 'dan'], own)).stdout).toBe('No mail for dan that nobody else holds.\n');
    expect((await run(['inbox', 'bo'], own)).code).toBe(errorTable.not_found.exit);
  });

  it('is read by an admin under a lease, which is told', async () => {
    await manager.api.sendMessages([{ to: { agent: 'dan' }, type: 'note', data: null, id: 'for-dan-2' }]);
    const read = ok(await run(['inbox', 'dan', '--wait', '5'], env));
    expect(read.stdout).toContain('for-dan-2');
    expect(read.stderr).toMatch(/^Not acked: 1 delivery of dan leased until \d{4}-/);
    const { deliveries } = json<{ deliveries: object[] }>(ok(await run(['inbox', 'dan', '--json'], env)));
    expect(deliveries).toEqual([]);
  });
});

it('a cluster shows how long its mail took', async () => {
  const shown = ok(await run(['clusters', 'show', clusterId], env));
  expect(shown.stdout).toMatch(/^mail handed over +(\d+ times?, p50 \d|none yet)/m);
});
