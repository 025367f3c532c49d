import { z } from 'zod';
import { capacityRequestState, capacityRequestView } from '../capacity-requests.js';
import { byId, ok, operators, page, pageQuery, readers, tagged } from '../endpoint.js';
import { derivedId } from '../messages.js';
import { capacityAnswer } from '../scaling.js';

/* On the wire a capacity request is called `resourceRequest`. */
const resourceRequest = capacityRequestView.meta({ id: 'ResourceRequest' });

export const capacityRequestEndpoints = tagged('resource requests', {
  listResourceRequests: {
    route: 'GET /v1/resource-requests',
    summary: 'List the capacity requests of clusters to the orchestrator, newest first',
    roles: readers,
    query: z.strictObject({ ...pageQuery, state: capacityRequestState.optional(), clusterId: derivedId.optional() }),
    responses: page('A page of capacity requests', { resourceRequests: z.array(resourceRequest) }),
  },
  getResourceRequest: {
    route: 'GET /v1/resource-requests/{id}',
    summary: 'Get a capacity request and its answer',
    roles: readers,
    params: byId,
    responses: ok('The capacity request', { resourceRequest }),
  },
  grantResources: {
    route: 'POST /v1/resource-requests/{id}/grant',
    summary:
      'Approve a capacity request: the capacity is available now and the operation tries again. ' +
      'Sending the same answer again changes nothing',
    roles: operators,
    capability: 'scaling',
    params: byId,
    body: capacityAnswer,
    bodyIsOptional: true,
    responses: ok('Approved', { resourceRequest }),
    errors: ['not_found', 'state_conflict'],
  },
  denyResources: {
    route: 'POST /v1/resource-requests/{id}/deny',
    summary:
      'Deny a capacity request: the operation ends with the agents that it has. ' +
      'Sending the same answer again changes nothing',
    roles: operators,
    capability: 'scaling',
    params: byId,
    body: capacityAnswer,
    bodyIsOptional: true,
    responses: ok('Denied', { resourceRequest }),
    errors: ['not_found', 'state_conflict'],
  },
});
