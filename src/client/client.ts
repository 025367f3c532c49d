import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { v7 as uuidv7 } from 'uuid';
import type { CommunicationRequest, CommunicationResult } from '../contracts/communication.js';
import { ManagerError } from '../contracts/errors.js';
import type { FormationRequest, FormationResult } from '../contracts/formation.js';
import type { ProcessRequest } from '../contracts/operations.js';
import type { CapacityUpdate, ScalingRequest, ScalingResult } from '../contracts/scaling.js';
import { capacityUpdates, wakeSignal } from '../contracts/workflow-inputs.js';
import type { FormationIntervalReport, ScalingIntervalReport } from '../contracts/workflow-inputs.js';
import { connectTemporal, type TemporalAddress } from './connect.js';
import { refusalOf } from './failures.js';
import { progressOf, type Progress } from './progress.js';
import { ensureSchedule, jobs, scheduleIdOf, type Interval, type Job } from './schedules.js';
import { attributesOf } from './search-attributes.js';
import { workflowStarter, type WorkflowStarter } from './start-workflows.js';

export interface ClientOptions extends TemporalAddress {
  /** The manager's id, which is its Temporal task queue. */
  readonly managerId: string;
}

/** An orchestrator's handle on the manager: starts the functions, waits for them, and controls the schedules. */
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

/** Creates the client over an existing Temporal client. */
export function createClusterManagerClient(
  client: Client,
  managerId: string,
  close = async (): Promise<void> => undefined,
) {
  const starter = workflowStarter(client, managerId);
  return {
    managerId,
    ...starter,
    ...functionsOf(client, starter),
    ...runningWorkflows(client),
    ...intervalsOf(client, managerId),
    close,
  };
}

/** Starts the functions and waits for their results. */
function functionsOf(client: Client, starter: WorkflowStarter) {
  /**
   * Forms a cluster and waits for it. The same requestId again gives the same result.
   * @throws ManagerError with the refusal's code: `invalid_request`, `insufficient_agents`, `deadline_exceeded`, …
   */
  const formCluster = async (request: FormationRequest): Promise<FormationResult> =>
    resultOf(client, (await starter.startFormation(request)).workflowId);
  /**
   * Routes messages, broadcasts, topic and routing changes in one durable run, and waits for it. More than 64 KiB of
   * messages are stored first, with POST /v1/message-batches, and named by their batchId.
   * @throws ManagerError with the refusal's code.
   */
  const manageCommunication = async (request: CommunicationRequest): Promise<CommunicationResult> =>
    resultOf(client, (await starter.startCommunication(request)).workflowId);
  /**
   * Brings a cluster to the size that it needs or that is requested, and waits until that is verified.
   * @throws ManagerError with the refusal's code: `not_found`, `state_conflict`, …
   */
  const scaleCluster = async (request: ScalingRequest): Promise<ScalingResult> =>
    resultOf(client, (await starter.startScaling(request)).workflowId);
  return {
    formCluster,
    manageCommunication,
    scaleCluster,
    /** The specification's `process_request`: calls one of the three functions by `type`. */
    processRequest: async ({ type, ...body }: ProcessRequest) => {
      if (type === 'FORMATION') return formCluster(body as FormationRequest);
      if (type === 'COMMUNICATION') return manageCommunication(body as CommunicationRequest);
      if (type === 'SCALING') return scaleCluster(body as ScalingRequest);
      const text = `type "${String(type)}" is not known; allowed: FORMATION, COMMUNICATION, SCALING`;
      throw new ManagerError('invalid_request', text);
    },
  };
}

/** Calls on workflows that were started before. */
function runningWorkflows(client: Client) {
  const answer = async (update: string, workflowId: string, given: CapacityUpdate): Promise<string> => {
    try {
      const handle = client.workflow.getHandle(workflowId);
      return await handle.executeUpdate<string, [CapacityUpdate]>(update, { args: [given] });
    } catch (error) {
      throw refusalOf(error);
    }
  };
  return {
    /** Answers the capacity request of a running scaleCluster. @throws ManagerError `state_conflict` when it has another answer or expired. */
    grantResources: (workflowId: string, given: CapacityUpdate): Promise<string> =>
      answer(capacityUpdates.grant, workflowId, given),
    denyResources: (workflowId: string, given: CapacityUpdate): Promise<string> =>
      answer(capacityUpdates.deny, workflowId, given),
    /** Waits for the result of a workflow, whichever client started it. */
    result: <Result>(workflowId: string): Promise<Result> => resultOf<Result>(client, workflowId),
    /** Reads a workflow's steps in flight, with their attempts and last errors. Undefined when Temporal does not know the workflow. */
    progress: (workflowId: string): Promise<Progress | undefined> => progressOf(client, workflowId),
    /** Signals a workflow that there is something new to read. Ignored by a workflow that has ended. */
    wake: (workflowId: string): Promise<void> =>
      ignoringNotFound(client.workflow.getHandle(workflowId).signal(wakeSignal)),
    /** Cancels a workflow, which then compensates. Ignored when it has ended. */
    cancel: (workflowId: string): Promise<void> => ignoringNotFound(client.workflow.getHandle(workflowId).cancel()),
  };
}

/** The two intervals and their schedules. */
function intervalsOf(client: Client, managerId: string) {
  const run = async <Report>(job: Job, dryRun: boolean): Promise<Report> => {
    const workflowId = `${scheduleIdOf(managerId, job)}/${uuidv7()}`;
    await client.workflow.start(jobs[job].workflowType, {
      workflowId,
      taskQueue: managerId,
      args: [{ dryRun }],
      staticSummary: dryRun ? `Report what the ${job} interval would do` : `Run the ${job} interval now`,
      typedSearchAttributes: attributesOf({ component: `${job}-interval` }),
    });
    return resultOf<Report>(client, workflowId);
  };
  const scheduleOf = (job: Job) => client.schedule.getHandle(scheduleIdOf(managerId, job));
  return {
    /** Runs the formation interval now; with dryRun it only reports what it would do. */
    runFormationInterval: ({ dryRun }: { dryRun: boolean }): Promise<FormationIntervalReport> =>
      run<FormationIntervalReport>('formation', dryRun),
    /** Runs the scaling interval now; with dryRun it only reports what it would do. */
    runScalingInterval: ({ dryRun }: { dryRun: boolean }): Promise<ScalingIntervalReport> =>
      run<ScalingIntervalReport>('scaling', dryRun),
    schedules: {
      ensure: (job: Job, interval: Interval): Promise<void> => ensureSchedule(client, { managerId, job, interval }),
      pause: (job: Job, note: string): Promise<void> => scheduleOf(job).pause(note),
      unpause: (job: Job, note: string): Promise<void> => scheduleOf(job).unpause(note),
      trigger: (job: Job): Promise<void> => scheduleOf(job).trigger(),
    },
  };
}

async function resultOf<Result>(client: Client, workflowId: string): Promise<Result> {
  try {
    return (await client.workflow.getHandle(workflowId).result()) as Result;
  } catch (error) {
    throw refusalOf(error);
  }
}

async function ignoringNotFound(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
