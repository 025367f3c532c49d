/*
 * What each room (top-level folder) of src/ may import. ARCHITECTURE.md has each `sentence` in the same words. A room may
 * always import itself. It may import all of Node's built-ins unless `builtins` lists the ones that it may.
 */
const rooms = {
  contracts: {
    sentence: 'contracts imports zod and node:crypto',
    packages: ['zod'],
    builtins: ['crypto'],
  },
  domain: {
    sentence: 'domain imports contracts as types, and nothing else: no clock, no randomness, no I/O',
    types: ['contracts'],
    builtins: [],
  },
  workflows: {
    sentence: 'workflows imports @temporalio/workflow and contracts; activities as types',
    packages: ['@temporalio/workflow', '@temporalio/common'],
    rooms: ['contracts'],
    types: ['activities'],
    builtins: [],
  },
  activities: {
    sentence:
      'activities imports @temporalio/activity, contracts, domain, messaging and stores; config and telemetry as types',
    packages: ['@temporalio/activity', '@temporalio/common'],
    rooms: ['contracts', 'domain', 'messaging', 'stores'],
    types: ['config', 'telemetry'],
  },
  operations: {
    sentence: 'operations imports uuid, contracts, client and stores; config and telemetry as types',
    packages: ['uuid'],
    rooms: ['contracts', 'client', 'stores'],
    types: ['config', 'telemetry'],
  },
  messaging: {
    sentence: 'messaging imports uuid, contracts, domain and stores; zod, config and telemetry as types',
    packages: ['uuid', 'zod'],
    rooms: ['contracts', 'domain', 'stores'],
    types: ['config', 'telemetry'],
  },
  maintenance: {
    sentence:
      'maintenance imports contracts, domain, messaging, operations and stores; client, config and telemetry as types',
    rooms: ['contracts', 'domain', 'messaging', 'operations', 'stores'],
    types: ['client', 'config', 'telemetry'],
  },
  stores: {
    sentence: 'stores imports kysely, pg and contracts; config and telemetry as types; no store imports another',
    packages: ['kysely', 'pg'],
    rooms: ['contracts'],
    types: ['config', 'telemetry'],
  },
  client: {
    sentence: 'client imports @temporalio/client, uuid, zod, contracts and agent; workflows as types',
    packages: ['@temporalio/client', '@temporalio/common', 'uuid', 'zod'],
    rooms: ['contracts', 'agent'],
    types: ['workflows'],
  },
  agent: {
    sentence: 'agent imports contracts, zod, uuid and eventsource-parser, and nothing else',
    packages: ['zod', 'uuid', 'eventsource-parser'],
    rooms: ['contracts'],
  },
  http: {
    sentence:
      'http imports hono, zod, uuid, rate-limiter-flexible, contracts, config, client, messaging, operations and stores; telemetry as types',
    packages: ['hono', '@hono/node-server', '@asteasolutions/zod-to-openapi', 'zod', 'uuid', 'rate-limiter-flexible'],
    rooms: ['contracts', 'config', 'client', 'messaging', 'operations', 'stores'],
    types: ['telemetry'],
  },
  dashboard: {
    sentence: 'dashboard imports hono/jsx and contracts',
    packages: ['hono'],
    rooms: ['contracts'],
  },
  cli: {
    sentence: 'cli imports @commander-js/extra-typings, client, contracts, config and dev-stack',
    packages: ['@commander-js/extra-typings'],
    rooms: ['client', 'contracts', 'config', 'dev-stack'],
  },
  config: {
    sentence: 'config imports zod, yaml, @temporalio/envconfig and contracts',
    packages: ['zod', 'yaml', '@temporalio/envconfig'],
    rooms: ['contracts'],
  },
  telemetry: {
    sentence: 'telemetry imports pino, pino-pretty, prom-client and @temporalio/worker',
    packages: ['pino', 'pino-pretty', 'prom-client', '@temporalio/worker'],
  },
  'dev-stack': {
    sentence: 'dev-stack imports execa, compare-versions, @grpc/grpc-js, zod and contracts',
    packages: ['execa', 'compare-versions', '@grpc/grpc-js', 'zod'],
    rooms: ['contracts'],
  },
};

const roots = {
  worker: {
    sentence: 'worker.ts imports everything but http, dashboard, cli and agent',
    never: 'http|dashboard|cli|agent',
  },
  server: {
    sentence: 'server.ts imports everything but activities, workflows and the worker',
    never: 'activities|workflows',
  },
  cli: {
    sentence: 'cli.ts imports cli, client, contracts, config and dev-stack',
    never: 'activities|agent|http|dashboard|domain|stores|telemetry|workflows',
  },
};

const folder = (room) => `^src/${room}(/|\\.ts$)`;
const npmPackage = (name) => `node_modules/(@types/)?${name}/`;

function rulesOfRoom([room, { sentence, packages = [], rooms: open = [], types = [], builtins }]) {
  const rule = (what, to) => ({
    name: `${room}: ${what}`,
    severity: 'error',
    comment: sentence,
    from: { path: `^src/${room}/` },
    to,
  });
  const allowed = [folder(room), ...open.map(folder), ...types.map(folder), ...packages.map(npmPackage)];
  return [
    rule('imports', { pathNot: allowed, dependencyTypesNot: ['core'] }),
    ...types.map((other) => rule(`${other} as types`, { path: folder(other), dependencyTypesNot: ['type-only'] })),
    ...(builtins
      ? [rule('built-ins', { dependencyTypes: ['core'], pathNot: builtins.map((name) => `^(node:)?${name}$`) })]
      : []),
  ];
}

function rulesOfRoot([root, { sentence, never }]) {
  return {
    name: `${root}.ts`,
    severity: 'error',
    comment: sentence,
    from: { path: `^src/${root}\\.ts$` },
    to: { path: `^src/(${never})/` },
  };
}

module.exports = {
  forbidden: [
    ...Object.entries(rooms).flatMap(rulesOfRoom),
    ...Object.entries(roots).map(rulesOfRoot),
    {
      name: 'contracts without imports',
      severity: 'error',
      comment:
        'contracts/steps.ts, errors.ts and ids.ts import nothing, because workflows and every error path load them',
      from: { path: '^src/contracts/(steps|errors|ids)\\.ts$' },
      to: { pathNot: '^src/contracts/(steps|errors|ids)\\.ts$' },
    },
    {
      name: 'no store imports another',
      severity: 'error',
      comment: 'no store imports another, because the three databases may be three servers',
      from: { path: '^src/stores/([^/]+)/' },
      to: { path: '^src/stores/[^/]+/', pathNot: '^src/stores/$1/' },
    },
    {
      name: 'no Temporal worker in the server',
      severity: 'error',
      comment: "the server never loads Temporal's native worker library",
      from: {
        path: '^src/((start-)?server\\.ts$|register-manager\\.ts$|reloadable-config\\.ts$|http/|maintenance/|messaging/|operations/|client/|agent/|dashboard/)',
      },
      to: {
        path: ['node_modules/@temporalio/worker/', '^src/telemetry/temporal-runtime'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'no import cycles',
      severity: 'error',
      comment: 'no file imports itself through other files, not even for types',
      from: {},
      to: { circular: true },
    },
    {
      name: 'imports resolve',
      severity: 'error',
      comment: 'every import resolves to a file or an installed package',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'src imports no tests or tools',
      severity: 'error',
      comment: 'src imports nothing from test, bench, examples or scripts',
      from: { path: '^src/' },
      to: { path: '^(test|bench|examples|scripts)/' },
    },
    {
      name: 'declared dependencies',
      severity: 'error',
      comment: 'src imports only packages that package.json lists under dependencies',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only'],
        pathNot: 'node_modules/@types/',
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      mainFields: ['main', 'types'],
    },
  },
};
