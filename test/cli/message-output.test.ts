import { describe, expect, it } from 'vitest';
import { traceLines } from '../../src/cli/commands/messages.js';
import { receiptLines } from '../../src/cli/commands/messages.js';
import type { MessageTrace, ReceiptView } from '../../src/contracts/messages.js';

describe('a printed message trace', () => {
  const trace: MessageTrace = {
    id: 'm1',
    source: 'ada',
    type: 'draft',
    to: { cluster: 'cl_1' },
    time: '2026-01-01T00:00:00.000Z',
    expiresAt: '2026-01-01T01:00:00.000Z',
    clusterId: 'cl_1',
    epoch: 2,
    matched: 2,
    operationId: 'op_1',
    temporalUrl: 'http://ui/op_1',
    deliveries: [
      { id: 'dl_1_1', recipient: 'bo', state: 'acked', attempts: 2, via: 'member' },
      { id: 'dl_2_1', recipient: 'cy', state: 'waiting', attempts: 0, via: 'member' },
    ],
    hops: [
      { at: '2026-01-01T00:00:00.000Z', what: 'accepted', recipient: null, detail: 'from ada, durable' },
      { at: '2026-01-01T00:00:00.012Z', what: 'leased', recipient: 'bo', detail: 'attempt 1' },
      { at: '2026-01-01T00:00:30.012Z', what: 'lease_expired', recipient: 'bo', detail: '' },
      { at: '2026-01-01T00:02:05.000Z', what: 'acked', recipient: 'bo', detail: '125000 ms after it was accepted' },
    ],
  };

  it('has the facts of the message, its hops with relative times, and the state of each delivery', () => {
    const lines = traceLines(trace);
    expect(lines.slice(0, lines.indexOf('')).filter((line) => !line.startsWith('sent'))).toEqual([
      'message      m1',
      'type         draft',
      'from         ada',
      'to           all members of cluster cl_1',
      'expires      2026-01-01T01:00:00.000Z',
      'cluster      cl_1, epoch 2',
      'recipients   2',
      'operation    op_1',
      'Temporal UI  http://ui/op_1',
    ]);
    expect(lines.slice(lines.indexOf('') + 1)).toEqual([
      'AFTER  EVENT          RECIPIENT  DETAIL',
      '0 ms   accepted                  from ada, durable',
      '12 ms  leased         bo         attempt 1',
      '30 s   lease expired  bo',
      '2 min  acked          bo         125000 ms after it was accepted',
      '',
      'RECIPIENT  STATE    ATTEMPTS  MATCHED AS  DELIVERY',
      'bo         acked    2         member      dl_1_1',
      'cy         waiting  0         member      dl_2_1',
    ]);
  });

  it('has no table of deliveries and no link without deliveries and without an operation', () => {
    const lines = traceLines({ ...trace, operationId: null, temporalUrl: null, matched: 0, deliveries: [], hops: [] });
    expect(lines.join('\n')).not.toContain('RECIPIENT');
    expect(lines.some((line) => line.startsWith('Temporal'))).toBe(false);
  });
});

describe('a printed receipt', () => {
  const receipt: ReceiptView = {
    messageId: 'm1',
    clusterId: 'cl_1',
    epoch: 3,
    matched: 5,
    delivered: 4,
    acked: 2,
    dead: 1,
    left: 1,
    pending: 1,
    require: 'quorum',
    deadlineAt: '2026-01-01T00:00:30.000Z',
    state: 'open',
  };

  it('has the requirement, the acks and the state of the recipients without an ack', () => {
    expect(receiptLines(receipt)).toEqual([
      'receipt    open: 2 of 5 acked, more than half are required',
      'message    m1',
      'cluster    cl_1, members at epoch 3',
      'delivered  to 4 of 5',
      'not acked  1 pending, 1 left, 1 dead letter',
      'deadline   2026-01-01T00:00:30.000Z',
    ]);
  });

  it('says that a message without recipients is a dead letter', () => {
    const unmatched = { ...receipt, matched: 0, delivered: 0, acked: 0, dead: 0, left: 0, pending: 0 };
    expect(receiptLines(unmatched)[3]).toBe('delivered  to no recipient: the message is a dead letter');
  });
});
