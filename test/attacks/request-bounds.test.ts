import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reply, startAttackedServer, type AttackedServer, type Damage } from './attacked-server.js';

let server: AttackedServer;
let attacker: string;
beforeAll(async () => {
  server = await startAttackedServer();
  attacker = await server.register('attacker');
});
afterAll(() => server.stop());

const send = (path: string, body: string) => () => reply(`${server.url}${path}`, 'POST', attacker, body);

const deepTopic = (index: number): string => `t${index}.b.c.d.e.f.g.h.i.j`;

const messagesTo = (count: number, to: (index: number) => object): string =>
  JSON.stringify({
    messages: Array.from({ length: count }, (_, index) => ({ to: to(index), type: 'task', data: null })),
  });

/** The bounds that an attack from one token broke; prints its figures. */
function harmOf({ heartbeatP95Ms, heartbeatMaxMs, failedHeartbeats, growthMiB, replies }: Damage): string[] {
  const largest = Math.max(...replies.map(({ bytes }) => bytes));
  const figure = { heartbeatP95Ms, heartbeatMaxMs, growthMiB, calls: replies.length, largest };
  process.stdout.write(`${JSON.stringify({ figure: expect.getState().currentTestName, ...figure })}\n`);
  return [
    ...failedHeartbeats.map((failure) => `a heartbeat failed: ${failure}`),
    ...(heartbeatP95Ms > 100 ? [`p95 of heartbeats is ${heartbeatP95Ms} ms, above 100 ms`] : []),
    ...(growthMiB > 100 ? [`the server grew by ${growthMiB} MiB, above 100 MiB`] : []),
    ...(largest > 1024 * 1024 ? [`a response has ${largest} bytes, above 1 MiB`] : []),
    ...replies.filter(({ status }) => status >= 500).map(({ status }) => `a call was answered with ${status}`),
  ];
}

describe('an attack from one token leaves the heartbeats of other agents and the memory of the server intact', () => {
  it('a call that names 1,000 topics of ten tokens', async () => {
    expect(
      harmOf(
        await server.attack(
          send(
            '/v1/messages',
            messagesTo(1_000, (index) => ({ topic: deepTopic(index) })),
          ),
        ),
      ),
    ).toEqual([]);
  });

  it('a list of 200 topics of ten tokens', async () => {
    for (let index = 0; index < 200; index += 1) {
      await server.call('POST', '/v1/topics', server.tokens.admin, { name: deepTopic(index) });
    }
    expect(harmOf(await server.attack(() => server.call('GET', '/v1/topics?limit=200', attacker)))).toEqual([]);
  });

  it.each([
    ['numbers', '0'],
    ['empty objects', '{}'],
  ])('a body of 8 MiB with a list of %s in place of messages', async (_, element) => {
    const count = Math.floor((8 * 1024 * 1024 - 20) / (element.length + 1));
    const body = `{"messages":[${new Array<string>(count).fill(element).join(',')}]}`;
    expect(harmOf(await server.attack(send('/v1/messages', body)))).toEqual([]);
  });

  it('a body of 4 MiB whose messages have unknown fields', async () => {
    const extra = Array.from({ length: 400 }, (_, index) => `"x${index}":0`).join(',');
    const body = `{"messages":[${new Array<string>(1_000).fill(`{${extra}}`).join(',')}]}`;
    expect(harmOf(await server.attack(send('/v1/messages', body)))).toEqual([]);
  });

  it('a heartbeat with 226 KiB of unknown fields', async () => {
    const fields = Array.from({ length: 23_000 }, (_, index) => `"k${index}":0`).join(',');
    expect(harmOf(await server.attack(send('/v1/agents/attacker/heartbeat', `{${fields}}`)))).toEqual([]);
  });

  it('acks of 1,000 unknown deliveries in one call', async () => {
    const acks = Array.from({ length: 1_000 }, (_, index) => ({
      id: `dl_${(index + 1).toString(36)}_1`,
      leaseToken: '00000000-0000-4000-8000-000000000000',
    }));
    expect(harmOf(await server.attack(send('/v1/deliveries/ack', JSON.stringify({ acks })), { lanes: 20 }))).toEqual(
      [],
    );
  });
});
