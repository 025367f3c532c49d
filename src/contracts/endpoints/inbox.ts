import { z } from 'zod';
import { identifier, invitationAnswer } from '../agents.js';
import { byId, byIdentifier, ok, tagged } from '../endpoint.js';
import {
  ackMany,
  ackOne,
  ackResults,
  deliveryView,
  extend,
  extendAnswer,
  inboxQuery,
  nack,
  nackAnswer,
} from '../inbox.js';
import { derivedId } from '../messages.js';

export const inboxEndpoints = tagged('inbox', {
  readInbox: {
    route: 'GET /v1/agents/{id}/inbox',
    summary:
      'Receive messages, each as a leased delivery; waits up to waitSeconds for the first one. With ' +
      'Accept: text/event-stream an endless stream of "delivery" events, with at most max unacknowledged deliveries',
    roles: ['admin', 'agent'],
    params: byIdentifier,
    query: inboxQuery,
    responses: ok('The oldest open deliveries; empty when none arrived in time', {
      deliveries: z.array(deliveryView.meta({ id: 'Delivery' })),
    }),
  },
  answerInvitation: {
    route: 'POST /v1/agents/{id}/invitations/{clusterId}',
    summary: 'Accept or decline the invitation to a cluster',
    roles: ['admin', 'agent'],
    params: z.object({ id: identifier, clusterId: derivedId }),
    body: invitationAnswer,
    responses: ok('The answer was saved', { clusterId: z.string(), answer: z.enum(['accept', 'decline']) }),
    errors: ['not_found', 'state_conflict'],
  },
  ackDeliveries: {
    route: 'POST /v1/deliveries/ack',
    summary: 'Acknowledge many deliveries; each has its own result',
    roles: ['agent'],
    body: ackMany,
    itemsOf: ({ acks }: { readonly acks: readonly unknown[] }) => acks.length,
    responses: ok('One result for each, in the order given', ackResults.meta({ id: 'AckResults' })),
  },
  ackDelivery: {
    route: 'POST /v1/deliveries/{id}/ack',
    summary: 'Acknowledge one delivery; 409 stale_lease when its lease is no longer held',
    roles: ['agent'],
    params: byId,
    body: ackOne,
    responses: ok('Acknowledged, now or earlier', { id: z.string(), acked: z.literal(true) }),
    errors: ['not_found', 'stale_lease'],
  },
  nackDelivery: {
    route: 'POST /v1/deliveries/{id}/nack',
    summary: 'Return a delivery for redelivery, or, with final, dead-letter it',
    roles: ['agent'],
    params: byId,
    body: nack,
    responses: ok('The delivery waits for redelivery, or is a dead letter', nackAnswer.meta({ id: 'Nacked' })),
    errors: ['not_found', 'stale_lease'],
  },
  extendDelivery: {
    route: 'POST /v1/deliveries/{id}/extend',
    summary: 'Extend a lease that is still held, counted from now',
    roles: ['agent'],
    params: byId,
    body: extend,
    responses: ok('The new end of the lease', extendAnswer.meta({ id: 'Extended' })),
    errors: ['not_found', 'stale_lease'],
  },
});
