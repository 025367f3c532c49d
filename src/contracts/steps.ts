/**
 * The three functions and their four steps, in order: the one list that tests, CLI help, the API's operations and
 * the docs derive from. The words are the seed document's; `seed` is its spelling, `name` the Temporal activity type.
 */
export const functions = [
  {
    seed: 'form_cluster',
    workflow: 'formCluster',
    requestType: 'FORMATION',
    capability: 'cluster_management',
    steps: ['identifyAgents', 'defineCluster', 'establishConnections', 'initializeCluster'],
  },
  {
    seed: 'manage_communication',
    workflow: 'manageCommunication',
    requestType: 'COMMUNICATION',
    capability: 'communication_management',
    steps: ['routeMessages', 'handleBroadcasts', 'manageTopics', 'updateRouting'],
  },
  {
    seed: 'scale_cluster',
    workflow: 'scaleCluster',
    requestType: 'SCALING',
    capability: 'scaling',
    steps: ['assessNeeds', 'allocateResources', 'adjustCluster', 'verifyStability'],
  },
] as const;

export type RequestType = (typeof functions)[number]['requestType'];
export type StepName = (typeof functions)[number]['steps'][number];
export type FormationStep = (typeof functions)[0]['steps'][number];

export const formationSteps = functions[0].steps;
export const communicationSteps = functions[1].steps;
export const scalingSteps = functions[2].steps;
