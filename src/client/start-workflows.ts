import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import { v7 as uuidv7 } from 'uuid';
import type { CommunicationRequest } from '../contracts/communication.js';
import type { FormationRequest } from '../contracts/formation.js';
import { clusterIdOf, workflowIds, type ClusterId, type OperationId, type OperationIds } from '../contracts/ids.js';
import type { ScalingRequest } from '../contracts/scaling.js';
import { workflowTypes, type DissolveClusterInput } from '../contracts/workflow-inputs.js';
import { attributesOf } from './search-attributes.js';

export interface Started {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
  readonly workflowId: string;
}

/** The summary that the Temporal UI shows, and the search attributes. */
type Labels = Parameters<typeof attributesOf>[0] & { readonly summary: string };

/** Starts the workflows of operations. A workflow that already runs under the same id is joined. */
export type WorkflowStarter = ReturnType<typeof workflowStarter>;

export function workflowStarter(client: Client, taskQueue: string) {
  /** @returns the workflow's id. */
  const start = async (
    type: string,
    workflowId: string,
    input: object,
    { summary, ...attributes }: Labels,
  ): Promise<string> => {
    try {
      await client.workflow.start(type, {
        workflowId,
        taskQueue,
        args: [input],
        staticSummary: summary,
        typedSearchAttributes: attributesOf(attributes),
        workflowIdConflictPolicy: 'USE_EXISTING',
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    return workflowId;
  };
  return {
    startFormation: async (request: FormationRequest, requestedBy = 'client'): Promise<Started> => {
      const operationId = operationIdOf(request);
      const clusterId = clusterIdOf(operationId);
      const input = { ...request, requestId: operationId };
      const summary = `Form cluster "${asMarkdown(String(request.name).slice(0, 100))}"`;
      const labels = { summary, component: 'formation', clusterId, requestedBy };
      const workflowId = await start(workflowTypes.formCluster, workflowIds.formation(operationId), input, labels);
      return { operationId, clusterId, workflowId };
    },
    startCommunication: async (request: CommunicationRequest, requestedBy = 'client') => {
      const operationId = operationIdOf(request);
      const input = { ...request, requestId: operationId };
      const labels = { summary: 'Manage communication', component: 'communication', requestedBy };
      const id = workflowIds.communication(operationId);
      return { operationId, workflowId: await start(workflowTypes.manageCommunication, id, input, labels) };
    },
    startScaling: async (request: ScalingRequest, requestedBy = 'client'): Promise<Started> => {
      const { clusterId } = request;
      const operationId = operationIdOf(request);
      const input = { ...request, requestId: operationId };
      const summary = `Scale cluster ${String(clusterId).slice(0, 150)}`;
      const labels = { summary, component: 'scaling', clusterId, requestedBy };
      const workflowId = await start(workflowTypes.scaleCluster, workflowIds.scaling(operationId), input, labels);
      return { operationId, clusterId, workflowId };
    },
    startRepair: (input: OperationIds): Promise<string> => {
      const { clusterId } = input;
      const labels = { summary: `Repair cluster ${clusterId}`, component: 'formation', clusterId };
      return start(workflowTypes.repairCluster, workflowIds.repair(clusterId), input, labels);
    },
    startDissolution: (input: DissolveClusterInput, requestedBy = 'client'): Promise<string> => {
      const { clusterId } = input;
      const labels = { summary: `Dissolve cluster ${clusterId}`, component: 'formation', clusterId, requestedBy };
      return start(workflowTypes.dissolveCluster, workflowIds.dissolution(clusterId), input, labels);
    },
  };
}

const operationIdOf = ({ requestId }: { readonly requestId?: string | undefined }): OperationId =>
  requestId ?? `op_${uuidv7()}`;

/** Escapes a text that the Temporal UI would render as Markdown or HTML. */
const asMarkdown = (text: string): string => text.replaceAll(/[\\`*_{}[\]()<>#+\-.!|~&]/g, '\\$&');
