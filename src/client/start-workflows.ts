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

interface WorkflowStart {
  readonly workflowId: string;
  readonly type: string;
  readonly input: object;
  readonly summary: string;
  readonly attributes: Parameters<typeof attributesOf>[0];
}

/** Starts the workflows of operations. A workflow that already runs under the same id is joined. */
export type WorkflowStarter = ReturnType<typeof workflowStarter>;

export function workflowStarter(client: Client, taskQueue: string) {
  const start = (options: WorkflowStart): Promise<void> => startWorkflow(client, taskQueue, options);
  return {
    startFormation: async (request: FormationRequest, requestedBy = 'client'): Promise<Started> => {
      const operationId = operationIdOf(request);
      const clusterId = clusterIdOf(operationId);
      const workflowId = workflowIds.formation(operationId);
      await start({
        workflowId,
        type: workflowTypes.formCluster,
        input: { ...request, requestId: operationId },
        summary: `Form cluster "${String(request.name).slice(0, 100)}"`,
        attributes: { component: 'formation', clusterId, requestedBy },
      });
      return { operationId, clusterId, workflowId };
    },
    startCommunication: async (request: CommunicationRequest, requestedBy = 'client') => {
      const operationId = operationIdOf(request);
      const workflowId = workflowIds.communication(operationId);
      await start({
        workflowId,
        type: workflowTypes.manageCommunication,
        input: { ...request, requestId: operationId },
        summary: 'Manage communication',
        attributes: { component: 'communication', requestedBy },
      });
      return { operationId, workflowId };
    },
    startScaling: async (request: ScalingRequest, requestedBy = 'client'): Promise<Started> => {
      const { clusterId } = request;
      const operationId = operationIdOf(request);
      const workflowId = workflowIds.scaling(operationId);
      await start({
        workflowId,
        type: workflowTypes.scaleCluster,
        input: { ...request, requestId: operationId },
        summary: `Scale cluster ${String(clusterId).slice(0, 150)}`,
        attributes: { component: 'scaling', clusterId, requestedBy },
      });
      return { operationId, clusterId, workflowId };
    },
    startRepair: async (input: OperationIds): Promise<string> => {
      const { clusterId } = input;
      const workflowId = workflowIds.repair(clusterId);
      const run = { input, summary: `Repair cluster ${clusterId}`, attributes: { component: 'formation', clusterId } };
      await start({ ...run, workflowId, type: workflowTypes.repairCluster });
      return workflowId;
    },
    startDissolution: async (input: DissolveClusterInput, requestedBy = 'client'): Promise<string> => {
      const { clusterId } = input;
      const workflowId = workflowIds.dissolution(clusterId);
      const attributes = { component: 'formation', clusterId, requestedBy };
      const run = { input, summary: `Dissolve cluster ${clusterId}`, attributes };
      await start({ ...run, workflowId, type: workflowTypes.dissolveCluster });
      return workflowId;
    },
  };
}

async function startWorkflow(client: Client, taskQueue: string, options: WorkflowStart): Promise<void> {
  const { workflowId, type, input, summary, attributes } = options;
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
}

const operationIdOf = ({ requestId }: { readonly requestId?: string | undefined }): OperationId =>
  requestId ?? `op_${uuidv7()}`;
