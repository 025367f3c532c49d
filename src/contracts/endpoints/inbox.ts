import { z } from 'zod';
import { identifier, invitationAnswer } from '../agents.js';
import { byId, byIdentifier, response, type Endpoint } from '../endpoint.js';
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

export const inboxEndpoints = {
  readInbox: {
    method: 'get',
    path: '/v1/agents/{id}/inbox',
    summary:
      'Receive messages, each as a leased delivery; waits up to waitSeconds for the first one. With ' +
      'Accept: text/event-stream an endless stream of "delivery" events, with at most max unacknowledged deliveries',
    tag: 'inbox',
    roles: ['admin', 'agent'],
    params: byIdentifier,
    query: inboxQuery,
    responses: {
      200: response(
        'The oldest open deliveries; empty when none arrived in time',
        z.object({ deliveries: z.array(deliveryView.meta({ id: 'Delivery' })) }),
      ),
    },
    errors: ['not_found'],
  },
  answerInvitation: {
    method: 'post',
    path: '/v1/agents/{id}/invitations/{clusterId}',
    summary: 'Accept or decline the invitation to a cluster',
    tag: 'inbox',
    roles: ['admin', 'agent'],
    params: z.object({ id: identifier, clusterId: derivedId }),
    body: invitationAnswer,
    responses: {
      200: response('The answer was saved', z.object({ clusterId: z.string(), answer: z.enum(['accept', 'decline']) })),
    },
    errors: ['not_found', 'state_conflict'],
  },
  ackDeliveries: {
    method: 'post',
    path: '/v1/deliveries/ack',
    summary: 'Acknowledge many deliveries; each has its own result',
    tag: 'inbox',
    roles: ['agent'],
    body: ackMany,
    responses: { 200: response('One result for each, in the order given', ackResults.meta({ id: 'AckResults' })) },
    errors: [],
  },
  ackDelivery: {
    method: 'post',
    path: '/v1/deliveries/{id}/ack',
    summary: 'Acknowledge one delivery; 409 stale_lease when its lease is no longer held',
    tag: 'inbox',
    roles: ['agent'],
    params: byId,
    body: ackOne,
    responses: {
      200: response('Acknowledged, now or earlier', z.object({ id: z.string(), acked: z.literal(true) })),
    },
    errors: ['not_found', 'stale_lease'],
  },
  nackDelivery: {
    method: 'post',
    path: '/v1/deliveries/{id}/nack',
    summary: 'Return a delivery for redelivery, or, with final, dead-letter it',
    tag: 'inbox',
    roles: ['agent'],
    params: byId,
    body: nack,
    responses: {
      200: response('The delivery waits for redelivery, or is a dead letter', nackAnswer.meta({ id: 'Nacked' })),
    },
    errors: ['not_found', 'stale_lease'],
  },
  extendDelivery: {
    method: 'post',
    path: '/v1/deliveries/{id}/extend',
    summary: 'Extend a lease that is still held, counted from now',
    tag: 'inbox',
    roles: ['agent'],
    params: byId,
    body: extend,
    responses: { 200: response('The new end of the lease', extendAnswer.meta({ id: 'Extended' })) },
    errors: ['not_found', 'stale_lease'],
  },
} as const satisfies Record<string, Endpoint>;
