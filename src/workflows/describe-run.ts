import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { ClusterId } from '../contracts/ids.js';

/** A run that another SDK started has no search attributes yet; with them the Temporal UI finds it by its cluster. */
export function describeRun(
  component: 'formation' | 'communication' | 'scaling',
  { clusterId, doing }: { readonly clusterId?: ClusterId; readonly doing: string },
): void {
  if (!('Component' in workflowInfo().searchAttributes)) {
    upsertSearchAttributes({
      Component: [component],
      ...(clusterId && clusterId.length <= 255 ? { ClusterId: [clusterId] } : {}),
    });
  }
  setCurrentDetails(doing);
}
