import { createCommunicationActivities } from './communication/index.js';
import type { ActivityDeps } from './deps.js';
import { createFormationActivities } from './formation/index.js';
import { createScalingActivities } from './scaling/index.js';

/** What a worker provides: its databases, its settings, and optionally how to notify agents of new deliveries. */
export type WorkerParts = Omit<ActivityDeps, 'messaging'> & { readonly notify?: ActivityDeps['messaging']['notify'] };

/** Every activity a worker serves. */
export const createActivities = ({ notify = () => undefined, ...parts }: WorkerParts) => {
  const messaging = { communication: parts.communication, settings: () => parts.settings.communication, notify };
  const deps: ActivityDeps = { ...parts, messaging };
  return {
    ...createFormationActivities(deps),
    ...createCommunicationActivities(deps),
    ...createScalingActivities(deps),
  };
};

export type Activities = ReturnType<typeof createActivities>;
export type { ActivityDeps } from './deps.js';
