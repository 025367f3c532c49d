import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Client,
  type WorkflowHandle,
} from '@temporalio/client';
import { v7 as uuidv7 } from 'uuid';
import type { CommunicationRequest, CommunicationResult } from '../contracts/communication.js';
import { ManagerError } from '../contracts/errors.js';
import type { FormationRequest, FormationResult } from '../contracts/formation.js';
import { clusterIdOf, workflowIds, type ClusterId, type OperationId } from '../contracts/ids.js';
import type { ProcessRequest } from '../contracts/operations.js';
import type { CapacityUpdate, ScalingRequest, ScalingResult } from '../contracts/scaling.js';
import {
  capacityUpdates,
  wakeSignal,
  workflowTypes,
  type FormationIntervalReport,
  type ScalingIntervalReport,
} from '../contracts/workflow-inputs.js';
import type { DissolveClusterInput, RepairClusterInput } from '../contracts/workflow-inputs.js';
import { connectTemporal, type TemporalAddress } from './connect.js';
import { refusalOf } from './failures.js';
import { progressOf, type Progress } from './progress.js';
import { ensureSchedule, scheduleIdOf, type Interval, type Job } from './schedules.js';
import { attributesOf } from './search-attributes.js';

export interface ClientOptions extends TemporalAddress {
  /** The manager's id, which is its Temporal task queue. */
  readonly managerId: string;
}

export interface Started {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
  readonly workflowId: string;
}

/** What an orchestrator holds: it starts the three functions, waits for them, and owns the schedules. */
export type ClusterManagerClient = ReturnType<typeof createClusterManagerClient>;

/**
 * Connects to the manager through Temporal.
 * @throws ManagerError `service_unavailable` when Temporal cannot be reached.
 * @example
 * const manager = await connectClusterManager({ address: '127.0.0.1:7233', namespace: 'default', managerId: 'cluster-manager-1' });
 * const { clusterId, members } = await manager.formCluster({ name: 'translators', requiredCapabilities: ['translate'] });
 * await manager.close();
 */
export async function connectClusterManager(options: ClientOptions): Promise<ClusterManagerClient> {
  const { client, close } = await connectTemporal(options);
  return createClusterManagerClient(client, options.managerId, close);
}

/** The same over a Temporal client that the caller already has. */
export function createClusterManagerClient(
  client: Client,
  managerId: string,
  close = async (): Promise<void> => undefined,
) {
  const startFormation = async (request: FormationRequest, requestedBy = 'client'): Promise<Started> => {
    const operationId: OperationId = request.requestId ?? `op_${uuidv7()}`;
    const clusterId = clusterIdOf(operationId);
    const workflowId = workflowIds.formation(operationId);
    await start(client, workflowTypes.formCluster, {
      workflowId,
      taskQueue: managerId,
      args: [{ ...request, requestId: operationId }],
      staticSummary: `Form cluster "${String(request.name).slice(0, 100)}"`,
      typedSearchAttributes: attributesOf({ component: 'formation', clusterId, requestedBy }),
    });
    return { operationId, clusterId, workflowId };
  };

  const formCluster = async (request: FormationRequest): Promise<FormationResult> => {
    const { workflowId } = await startFormation(request);
    return resultOf<FormationResult>(client.workflow.getHandle(workflowId));
  };

  const startCommunication = async (
    request: CommunicationRequest,
    requestedBy = 'client',
  ): Promise<Omit<Started, 'clusterId'>> => {
    const operationId: OperationId = request.requestId ?? `op_${uuidv7()}`;
    const workflowId = workflowIds.communication(operationId);
    await start(client, workflowTypes.manageCommunication, {
      workflowId,
      taskQueue: managerId,
      args: [{ ...request, requestId: operationId }],
      staticSummary: 'Manage communication',
      typedSearchAttributes: attributesOf({ component: 'communication', requestedBy }),
    });
    return { operationId, workflowId };
  };

  const manageCommunication = async (request: CommunicationRequest): Promise<CommunicationResult> => {
    const { workflowId } = await startCommunication(request);
    return resultOf<CommunicationResult>(client.workflow.getHandle(workflowId));
  };

  const startScaling = async (request: ScalingRequest, requestedBy = 'client'): Promise<Started> => {
    const operationId: OperationId = request.requestId ?? `op_${uuidv7()}`;
    const { clusterId } = request;
    const workflowId = workflowIds.scaling(operationId);
    await start(client, workflowTypes.scaleCluster, {
      workflowId,
      taskQueue: managerId,
      args: [{ ...request, requestId: operationId }],
      staticSummary: `Scale cluster ${String(clusterId).slice(0, 150)}`,
      typedSearchAttributes: attributesOf({ component: 'scaling', clusterId, requestedBy }),
    });
    return { operationId, clusterId, workflowId };
  };

  const scaleCluster = async (request: ScalingRequest): Promise<ScalingResult> => {
    const { workflowId } = await startScaling(request);
    return resultOf<ScalingResult>(client.workflow.getHandle(workflowId));
  };

  const scheduleOf = (job: Job) => client.schedule.getHandle(scheduleIdOf(managerId, job));

  const runJob = async <Report>(job: Job, dryRun: boolean): Promise<Report> => {
    const handle = await client.workflow.start(
      job === 'formation' ? workflowTypes.formationInterval : workflowTypes.scalingInterval,
      {
        workflowId: `${scheduleIdOf(managerId, job)}/${uuidv7()}`,
        taskQueue: managerId,
        args: [{ dryRun }],
        staticSummary: dryRun ? `Say what the ${job} interval would do` : `Run the ${job} interval now`,
        typedSearchAttributes: attributesOf({ component: `${job}-interval` }),
      },
    );
    return resultOf<Report>(handle);
  };

  const answerResources = async (update: string, workflowId: string, answer: CapacityUpdate): Promise<string> => {
    try {
      return await client.workflow.getHandle(workflowId).executeUpdate<string, [CapacityUpdate]>(update, {
        args: [answer],
      });
    } catch (error) {
      throw refusalOf(error);
    }
  };

  return {
    managerId,
    startFormation,
    /**
     * Forms a cluster and waits for it. The same requestId again gives the same result.
     * @throws ManagerError with the refusal's code: `invalid_request`, `insufficient_agents`, `deadline_exceeded`, …
     */
    formCluster,
    /** The seed's `process_request`: tells the three functions apart by `type`. */
    processRequest: async (request: ProcessRequest): Promise<FormationResult | CommunicationResult | ScalingResult> => {
      switch (request.type) {
        case 'FORMATION': {
          const { type: _type, ...formation } = request;
          return formCluster(formation);
        }
        case 'COMMUNICATION': {
          const { type: _type, ...communication } = request;
          return manageCommunication(communication);
        }
        case 'SCALING': {
          const { type: _type, ...scaling } = request;
          return scaleCluster(scaling);
        }
        default:
          throw new ManagerError(
            'invalid_request',
            `type "${String((request as { type?: unknown }).type)}" is not known; allowed: FORMATION, COMMUNICATION, SCALING`,
          );
      }
    },
    startCommunication,
    /**
     * Routes messages, broadcasts, topic and routing changes in one durable run, and waits for it. More than 64 KiB of
     * messages are stored first, with POST /v1/message-batches, and named by their batchId.
     * @throws ManagerError with the refusal's code.
     */
    manageCommunication,
    startScaling,
    /**
     * Brings a cluster to the size it needs, or is asked for, and waits until that is verified.
     * @throws ManagerError with the refusal's code: `not_found`, `state_conflict`, …
     */
    scaleCluster,
    /** Answers what a running scaleCluster asked the orchestrator for. @throws ManagerError `state_conflict` when it was answered or is over. */
    grantResources: (workflowId: string, answer: CapacityUpdate): Promise<string> =>
      answerResources(capacityUpdates.grant, workflowId, answer),
    denyResources: (workflowId: string, answer: CapacityUpdate): Promise<string> =>
      answerResources(capacityUpdates.deny, workflowId, answer),
    startRepair: async (input: RepairClusterInput): Promise<string> => {
      const workflowId = workflowIds.repair(input.clusterId);
      await start(client, workflowTypes.repairCluster, {
        workflowId,
        taskQueue: managerId,
        args: [input],
        staticSummary: `Repair cluster ${input.clusterId}`,
        typedSearchAttributes: attributesOf({ component: 'formation', clusterId: input.clusterId }),
      });
      return workflowId;
    },
    startDissolution: async (input: DissolveClusterInput, requestedBy = 'client'): Promise<string> => {
      const workflowId = workflowIds.dissolution(input.clusterId);
      await start(client, workflowTypes.dissolveCluster, {
        workflowId,
        taskQueue: managerId,
        args: [input],
        staticSummary: `Dissolve cluster ${input.clusterId}`,
        typedSearchAttributes: attributesOf({ component: 'formation', clusterId: input.clusterId, requestedBy }),
      });
      return workflowId;
    },
    /** Waits for a workflow that was started before, by whoever. */
    result: <Result>(workflowId: string): Promise<Result> => resultOf<Result>(client.workflow.getHandle(workflowId)),
    /** What a running workflow is at: its steps in flight, their attempts and last errors. Undefined when Temporal no longer knows it. */
    progress: (workflowId: string): Promise<Progress | undefined> => progressOf(client, workflowId),
    /** Wakes a formation that waits for an agent's answer. A workflow that has ended is left alone. */
    wake: (workflowId: string): Promise<void> => quietly(client.workflow.getHandle(workflowId).signal(wakeSignal)),
    /** Asks a workflow to stop and undo what it did. */
    cancel: async (workflowId: string): Promise<void> => {
      await quietly(client.workflow.getHandle(workflowId).cancel());
    },
    /** Runs the formation interval's work now; with dryRun only says what it would do. */
    runFormationInterval: ({ dryRun }: { dryRun: boolean }): Promise<FormationIntervalReport> =>
      runJob<FormationIntervalReport>('formation', dryRun),
    /** Runs the scaling interval's work now; with dryRun only says what it would do. */
    runScalingInterval: ({ dryRun }: { dryRun: boolean }): Promise<ScalingIntervalReport> =>
      runJob<ScalingIntervalReport>('scaling', dryRun),
    schedules: {
      ensure: (job: Job, interval: Interval): Promise<void> => ensureSchedule(client, { managerId, job, interval }),
      pause: (job: Job, note: string): Promise<void> => scheduleOf(job).pause(note),
      unpause: (job: Job, note: string): Promise<void> => scheduleOf(job).unpause(note),
      trigger: (job: Job): Promise<void> => scheduleOf(job).trigger(),
    },
    close,
  };
}

/** Starts a workflow, or joins the one that runs under its business id. */
async function start(client: Client, type: string, options: Parameters<Client['workflow']['start']>[1]): Promise<void> {
  try {
    await client.workflow.start(type, { ...options, workflowIdConflictPolicy: 'USE_EXISTING' });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

async function resultOf<Result>(handle: Pick<WorkflowHandle, 'result'>): Promise<Result> {
  try {
    return (await handle.result()) as Result;
  } catch (error) {
    throw refusalOf(error);
  }
}

async function quietly(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
