/**
 * The three functions and their four steps, in order. Tests, CLI help, the API's operations and the docs derive from this
 * list. `name` is the specification's spelling, `workflow` and `steps` are the Temporal types.
 */
export const functions = [
  {
    name: 'form_cluster',
    workflow: 'formCluster',
    requestType: 'FORMATION',
    capability: 'cluster_management',
    steps: ['identifyAgents', 'defineCluster', 'establishConnections', 'initializeCluster'],
  },
  {
    name: 'manage_communication',
    workflow: 'manageCommunication',
    requestType: 'COMMUNICATION',
    capability: 'communication_management',
    steps: ['routeMessages', 'handleBroadcasts', 'manageTopics', 'updateRouting'],
  },
  {
    name: 'scale_cluster',
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
