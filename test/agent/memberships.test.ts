import { describe, expect, it } from 'vitest';
import type { KnownCluster } from '../../src/agent/index.js';
import { clusterOfMessage, createMemberships } from '../../src/agent/messaging/memberships.js';

const members = (...ids: string[]) => ids.map((agentId) => ({ agentId, roles: [] }));
const cluster = (id: string, epoch: number, ...ids: string[]): KnownCluster => ({
  id,
  name: id,
  epoch,
  coordinator: ids[0] ?? null,
  members: members(...ids),
});

describe('the memberships of an agent', () => {
  it('apply a higher epoch and ignore a lower or equal one', () => {
    const known = createMemberships('a', () => 0);
    expect(known.apply(cluster('c', 2, 'a', 'b'))).toBe('joined');
    expect(known.apply(cluster('c', 1, 'a'))).toBe('none');
    expect(known.apply(cluster('c', 2, 'a', 'b'))).toBe('none');
    expect(known.apply(cluster('c', 3, 'a', 'b', 'd'))).toBe('changed');
    expect(known.all()).toEqual([cluster('c', 3, 'a', 'b', 'd')]);
  });

  it('drop a cluster whose member list does not name the agent', () => {
    const known = createMemberships('a', () => 0);
    known.apply(cluster('c', 1, 'a', 'b'));
    expect(known.apply(cluster('c', 2, 'b'))).toBe('left');
    expect(known.apply(cluster('other', 1, 'b'))).toBe('none');
    expect(known.all()).toEqual([]);
  });

  it('differ from a heartbeat where a message was missed, but not where one was applied after the heartbeat was sent', () => {
    let nowMs = 100;
    const known = createMemberships('a', () => nowMs);
    known.apply(cluster('kept', 1, 'a'));
    known.apply(cluster('outdated', 1, 'a'));
    known.apply(cluster('gone', 1, 'a'));
    nowMs = 300;
    known.apply(cluster('fresh', 1, 'a'));
    expect(known.compare({ kept: 1, outdated: 2, unknown: 4 }, 200)).toEqual({
      outdated: ['outdated', 'unknown'],
      gone: ['gone'],
    });
  });

  it('are read from a complete message only', () => {
    const message = {
      id: 'm',
      source: 'manager',
      type: 'cluster.joined',
      time: '2026-01-01T00:00:00Z',
      datacontenttype: 'application/json',
      to: null,
      clusterId: 'c',
      epoch: 1,
      topic: null,
      correlationId: null,
      replyTo: null,
      partitionKey: null,
      data: { name: 'c', coordinator: 'a', members: members('a', 'b'), more: true },
    };
    expect(clusterOfMessage(message)).toEqual(cluster('c', 1, 'a', 'b'));
    expect(clusterOfMessage({ ...message, data: { name: 'c' } })).toBeUndefined();
    expect(clusterOfMessage({ ...message, epoch: null })).toBeUndefined();
  });
});
