import { resumeAbandonedOperations } from '../operations/resume.js';
import type { MaintenanceDeps } from './deps.js';

/** Resumes abandoned operations and logs which. @returns the ids of those resumed. */
export async function rescueOperations(
  deps: Pick<MaintenanceDeps, 'clusters' | 'client' | 'logger'>,
): Promise<readonly string[]> {
  const { resumed, failed } = await resumeAbandonedOperations(deps);
  for (const { id, error } of failed) {
    deps.logger.warn({ err: error, operationId: id }, 'an abandoned operation could not be resumed');
  }
  if (resumed.length > 0) deps.logger.info({ operationIds: resumed }, 'abandoned operations were resumed');
  return resumed;
}
