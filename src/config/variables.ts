/** One environment variable that the manager reads: its meaning in one line, its default, whether it holds a secret. */
export interface EnvironmentVariable {
  readonly name: string;
  readonly meaning: string;
  readonly default?: string;
  readonly secret?: true;
}

/** Every environment variable that is read, in the order of docs/configuration.md. */
export const environmentVariables: readonly EnvironmentVariable[] = [
  { name: 'CLUSTER_MANAGER_CONFIG', meaning: 'Path of the settings file.', default: 'cluster-manager.yaml' },
  {
    name: 'DATABASE_URL',
    meaning: "One PostgreSQL server for all three databases: the settings file's names replace the URL's path.",
    secret: true,
  },
  { name: 'CLUSTERS_DATABASE_URL', meaning: 'The clusters database; wins over DATABASE_URL.', secret: true },
  { name: 'COMMUNICATION_DATABASE_URL', meaning: 'The communication database; wins over DATABASE_URL.', secret: true },
  { name: 'RESOURCES_DATABASE_URL', meaning: 'The resources database; wins over DATABASE_URL.', secret: true },
  { name: 'TEMPORAL_ADDRESS', meaning: 'host:port of the Temporal server.', default: '127.0.0.1:7233' },
  { name: 'TEMPORAL_NAMESPACE', meaning: 'The Temporal namespace.', default: 'default' },
  { name: 'TEMPORAL_API_KEY', meaning: 'API key of Temporal Cloud; turns TLS on.', secret: true },
  { name: 'TEMPORAL_TLS', meaning: '1 or true: speak TLS with the Temporal server.' },
  { name: 'TEMPORAL_TLS_CLIENT_CERT_PATH', meaning: 'PEM file with the client certificate for mTLS with Temporal.' },
  { name: 'TEMPORAL_TLS_CLIENT_KEY_PATH', meaning: 'PEM file with the key of that certificate.' },
  { name: 'TEMPORAL_TLS_SERVER_CA_CERT_PATH', meaning: "PEM file with the authority of the server's certificate." },
  { name: 'TEMPORAL_TLS_SERVER_NAME', meaning: "Name expected in the Temporal server's certificate." },
  { name: 'TEMPORAL_UI_URL', meaning: "Base URL of Temporal's web UI, for the links shown with operations." },
  { name: 'TEMPORAL_CLI_PATH', meaning: 'The temporal executable to run where the manager starts its own server.' },
  { name: 'POSTGRES_BIN_DIR', meaning: "Folder of PostgreSQL's executables for a server of the manager's own." },
  { name: 'CLUSTER_MANAGER_HOST', meaning: 'Address the API listens on.', default: '127.0.0.1' },
  { name: 'CLUSTER_MANAGER_PORT', meaning: 'Port the API listens on; 0 takes a free one.', default: '8420' },
  { name: 'CLUSTER_MANAGER_TLS_CERT', meaning: "PEM file with the API's certificate chain." },
  { name: 'CLUSTER_MANAGER_TLS_KEY', meaning: 'PEM file with its private key.' },
  {
    name: 'CLUSTER_MANAGER_BEHIND_PROXY',
    meaning: '1: a proxy in front of the API terminates TLS, so the API may listen beyond loopback.',
    default: '0',
  },
  {
    name: 'CLUSTER_MANAGER_ALLOWED_HOSTS',
    meaning: 'Host names, separated by commas, that the API answers to besides loopback and CLUSTER_MANAGER_HOST.',
  },
  { name: 'CLUSTER_MANAGER_URL', meaning: 'Where the command line and agents find the API.' },
  { name: 'CLUSTER_MANAGER_TOKEN', meaning: 'The bearer token that the command line shows.', secret: true },
  { name: 'CLUSTER_MANAGER_ADMIN_TOKEN', meaning: 'The first admin token that the API accepts.', secret: true },
  {
    name: 'CLUSTER_MANAGER_ENROLMENT_TOKEN',
    meaning: 'The token with which a new agent may register and get its own.',
    secret: true,
  },
  { name: 'CLUSTER_MANAGER_HOME', meaning: 'The state folder of a local stack.', default: '.cluster-manager' },
  {
    name: 'CLUSTER_MANAGER_CACHE',
    meaning: 'Where downloaded and built servers are kept.',
    default: '~/.cache/cluster-manager',
  },
  {
    name: 'CLUSTER_MANAGER_WORKER_HEALTH_PORT',
    meaning: "Loopback port of the worker's `GET /readyz`: 200 while it polls for tasks, else 503; unset: no endpoint.",
  },
  { name: 'WORKER_METRICS_PORT', meaning: "Loopback port of the worker's Prometheus page; unset: no page." },
  {
    name: 'LOG_LEVEL',
    meaning: 'The least level logged: trace, debug, info, warn, error, fatal or silent.',
    default: 'info',
  },
  {
    name: 'CLUSTER_MANAGER_FAILPOINTS',
    meaning: 'File that lists the points at which to crash, one a line: for fault tests only.',
  },
];
