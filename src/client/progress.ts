import { WorkflowNotFoundError, type Client } from '@temporalio/client';

export type Progress = NonNullable<Awaited<ReturnType<typeof progressOf>>>;

/** Reads a workflow's activities in flight from Temporal. Undefined when Temporal does not know the workflow. */
export async function progressOf(client: Client, workflowId: string) {
  try {
    const { raw, runId, status } = await client.workflow.getHandle(workflowId).describe();
    const pending = (raw.pendingActivities ?? []).map((activity) => {
      const started = activity.lastStartedTime?.seconds;
      return {
        step: activity.activityType?.name ?? '',
        attempts: activity.attempt ?? 1,
        startedAt: started ? new Date(Number(started) * 1000).toISOString() : null,
        ...(activity.lastFailure?.message ? { error: activity.lastFailure.message } : {}),
      };
    });
    return { runId, running: status.name === 'RUNNING', pending };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
