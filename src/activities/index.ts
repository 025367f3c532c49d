import type { ActivityDeps } from './deps.js';
import { createFormationActivities } from './formation/index.js';

/** Every activity a worker serves. */
export const createActivities = (deps: ActivityDeps) => ({ ...createFormationActivities(deps) });

export type Activities = ReturnType<typeof createActivities>;
export type { ActivityDeps } from './deps.js';
