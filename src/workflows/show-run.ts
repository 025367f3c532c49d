import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { ClusterId } from '../contracts/ids.js';

/** A run that another SDK started has no search attributes yet; with them the Temporal UI finds it by its cluster. */
export function showRun(clusterId: ClusterId): void {
  if (!('ClusterId' in workflowInfo().searchAttributes) && clusterId.length <= 255) {
    upsertSearchAttributes({ Component: ['formation'], ClusterId: [clusterId] });
  }
  setCurrentDetails(`Forming ${clusterId}`);
}
