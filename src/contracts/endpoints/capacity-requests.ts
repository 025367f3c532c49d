import { z } from 'zod';
import { capacityRequestState, capacityRequestView } from '../capacity-requests.js';
import { byId, nextCursor, operators, pageQuery, readers, response, type Endpoint } from '../endpoint.js';
import { derivedId } from '../messages.js';
import { capacityAnswer } from '../scaling.js';

/* On the wire a capacity request is called `resourceRequest`. */
const resourceRequest = capacityRequestView.meta({ id: 'ResourceRequest' });

export const capacityRequestEndpoints = {
  listResourceRequests: {
    method: 'get',
    path: '/v1/resource-requests',
    summary: 'List the capacity requests of clusters to the orchestrator, newest first',
    tag: 'resource requests',
    roles: readers,
    query: z.strictObject({ ...pageQuery, state: capacityRequestState.optional(), clusterId: derivedId.optional() }),
    responses: {
      200: response(
        'A page of capacity requests',
        z.object({ resourceRequests: z.array(resourceRequest), nextCursor }),
      ),
    },
    errors: [],
  },
  getResourceRequest: {
    method: 'get',
    path: '/v1/resource-requests/{id}',
    summary: 'Get a capacity request and its answer',
    tag: 'resource requests',
    roles: readers,
    params: byId,
    responses: { 200: response('The capacity request', z.object({ resourceRequest })) },
    errors: ['not_found'],
  },
  grantResources: {
    method: 'post',
    path: '/v1/resource-requests/{id}/grant',
    summary:
      'Approve a capacity request: the capacity is available now and the operation tries again. ' +
      'Sending the same answer again changes nothing',
    tag: 'resource requests',
    roles: operators,
    capability: 'scaling',
    params: byId,
    body: capacityAnswer,
    bodyIsOptional: true,
    responses: { 200: response('Approved', z.object({ resourceRequest })) },
    errors: ['not_found', 'state_conflict'],
  },
  denyResources: {
    method: 'post',
    path: '/v1/resource-requests/{id}/deny',
    summary:
      'Deny a capacity request: the operation ends with the agents that it has. ' +
      'Sending the same answer again changes nothing',
    tag: 'resource requests',
    roles: operators,
    capability: 'scaling',
    params: byId,
    body: capacityAnswer,
    bodyIsOptional: true,
    responses: { 200: response('Denied', z.object({ resourceRequest })) },
    errors: ['not_found', 'state_conflict'],
  },
} as const satisfies Record<string, Endpoint>;
