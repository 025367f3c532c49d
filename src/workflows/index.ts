export { manageCommunication } from './communication.js';
export { dissolveCluster } from './dissolution.js';
export { formCluster, repairCluster } from './formation.js';
export { formationInterval } from './formation-interval.js';
export { scaleCluster } from './scaling.js';
export { scalingInterval } from './scaling-interval.js';
