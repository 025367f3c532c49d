import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { ClusterId } from '../contracts/ids.js';

/**
 * Sets the run's details, and its search attributes where another SDK started it without them, so that the Temporal UI
 * finds the run by its cluster.
 */
export function describeRun(
  component: 'formation' | 'communication' | 'scaling',
  { clusterId, details }: { readonly clusterId?: ClusterId; readonly details: string },
): void {
  if (!('Component' in workflowInfo().searchAttributes)) {
    upsertSearchAttributes({
      Component: [component],
      ...(clusterId && clusterId.length <= 255 ? { ClusterId: [clusterId] } : {}),
    });
  }
  setCurrentDetails(details);
}
