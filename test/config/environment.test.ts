import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkEnvironment, type Environment, type RawEnvironment } from '../../src/config/environment.js';
import { configurationError } from '../../src/config/problems.js';
import { environmentVariables } from '../../src/config/variables.js';
import { ManagerError } from '../../src/contracts/errors.js';

const token = 'cmt_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-abcde';

function readEnvironment(env: RawEnvironment): Environment {
  const { value: environment, problems } = checkEnvironment(env);
  if (!environment) throw configurationError('The environment', problems);
  return environment;
}

/** The one problem of an environment, as `NAME message`. */
function problemOf(env: Record<string, string>): string {
  try {
    readEnvironment(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ManagerError);
    const { code, problems, message } = error as ManagerError;
    expect(code).toBe('invalid_configuration');
    expect(problems).toHaveLength(1);
    expect(message).toContain(problems[0]?.message);
    return `${problems[0]?.path} ${problems[0]?.message}`;
  }
  throw new Error('the environment was accepted');
}

describe('readEnvironment', () => {
  it('an empty environment gives the defaults for a single machine', () => {
    expect(readEnvironment({})).toEqual({
      configPath: 'cluster-manager.yaml',
      databaseUrls: {},
      temporal: { address: '127.0.0.1:7233', namespace: 'default', connection: { address: '127.0.0.1:7233' } },
      host: '127.0.0.1',
      port: 8420,
      behindProxy: false,
      allowedHosts: [],
      logLevel: 'info',
    });
  });

  it('readEnvironment converts every value to its type', () => {
    expect(
      readEnvironment({
        CLUSTERS_DATABASE_URL: 'postgres://a:b@h/clusters_db',
        TEMPORAL_ADDRESS: 'temporal.internal:7233',
        TEMPORAL_NAMESPACE: 'agents',
        TEMPORAL_UI_URL: 'http://127.0.0.1:8233/',
        CLUSTER_MANAGER_PORT: '0',
        CLUSTER_MANAGER_ALLOWED_HOSTS: 'Manager.example.com, other.example.com:8443',
        CLUSTER_MANAGER_ADMIN_TOKEN: token,
        CLUSTER_MANAGER_WORKER_HEALTH_PORT: '9465',
        WORKER_METRICS_PORT: '9464',
        LOG_LEVEL: 'debug',
        UNRELATED: 'x',
      }),
    ).toMatchObject({
      databaseUrls: { clusters: 'postgres://a:b@h/clusters_db' },
      temporal: { address: 'temporal.internal:7233', namespace: 'agents', uiUrl: 'http://127.0.0.1:8233' },
      port: 0,
      allowedHosts: ['manager.example.com', 'other.example.com:8443'],
      adminToken: token,
      workerHealthPort: 9465,
      workerMetricsPort: 9464,
      logLevel: 'debug',
    });
  });

  it('readEnvironment treats an empty value as unset', () => {
    expect(
      readEnvironment({ CLUSTER_MANAGER_PORT: '', CLUSTER_MANAGER_ADMIN_TOKEN: '', TEMPORAL_ADDRESS: '' }),
    ).toEqual(readEnvironment({}));
  });

  it.each([
    ['CLUSTER_MANAGER_PORT', 'abc', 'is "abc"; allowed: a port number from 0 to 65535'],
    ['CLUSTER_MANAGER_PORT', '65536', 'is "65536"; allowed: a port number'],
    ['CLUSTER_MANAGER_PORT', 'tcp://10.0.0.1:8420', 'enableServiceLinks'],
    ['CLUSTER_MANAGER_WORKER_HEALTH_PORT', 'x', 'is "x"; allowed: a port number'],
    ['WORKER_METRICS_PORT', '-1', 'is "-1"; allowed: a port number'],
    ['CLUSTER_MANAGER_HOST', 'http://127.0.0.1', 'allowed: a host name or IP address'],
    ['CLUSTER_MANAGER_ALLOWED_HOSTS', 'a.example.com,https://b', 'allowed: host names separated by commas'],
    ['CLUSTER_MANAGER_BEHIND_PROXY', 'yes', 'is "yes"; allowed: 1, true, 0 or false'],
    ['CLUSTER_MANAGER_URL', '127.0.0.1:8420', 'allowed: an http:// or https:// URL'],
    ['TEMPORAL_UI_URL', 'localhost', 'allowed: an http:// or https:// URL'],
    ['TEMPORAL_ADDRESS', 'http://127.0.0.1:7233', 'allowed: host:port without a scheme'],
    ['TEMPORAL_ADDRESS', '127.0.0.1', 'allowed: host:port'],
    ['TEMPORAL_TLS_CLIENT_CERT_PATH', 'cert.pem', 'TEMPORAL_TLS_CLIENT_KEY_PATH is missing'],
    ['LOG_LEVEL', 'loud', 'is "loud"; allowed: one of trace, debug, info, warn, error, fatal, silent'],
    ['DATABASE_URL', 'mysql://h/x', 'allowed: a postgres:// URL'],
  ])('readEnvironment rejects %s=%s', (name, value, message) => {
    expect(problemOf({ [name]: value })).toContain(message);
  });

  it.each(environmentVariables.filter((variable) => variable.secret).map((variable) => variable.name))(
    'the error about an invalid %s does not repeat its value',
    (name) => {
      const value = 'hush hush';
      try {
        readEnvironment({ [name]: value });
        expect(name).toBe('TEMPORAL_API_KEY'); // Any text may be one, so there is nothing to refuse.
      } catch (error) {
        expect((error as Error).message).toContain(`${name} is a text of 9 characters`);
        expect((error as Error).message).not.toContain(value);
      }
    },
  );

  it('lists every problem at once', () => {
    const env = { CLUSTER_MANAGER_PORT: 'abc', LOG_LEVEL: 'loud', TEMPORAL_ADDRESS: 'nowhere' };
    expect(() => readEnvironment(env)).toThrow(/3 problems\n.*TEMPORAL_ADDRESS[^]*CLUSTER_MANAGER_PORT[^]*LOG_LEVEL/);
  });
});

describe('listening beyond loopback', () => {
  let folder: string;
  let pem: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cluster-manager-config-'));
    pem = join(folder, 'x.pem');
    writeFileSync(pem, 'x');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(['0.0.0.0', '::', '192.168.1.5', 'manager.example.com', '127.0.0.1.example.com'])(
    'listening on %s is rejected without TLS or a TLS-terminating proxy',
    (host) => {
      const problem = problemOf({ CLUSTER_MANAGER_HOST: host });
      expect(problem).toContain(`CLUSTER_MANAGER_HOST is "${host}", reachable from other machines`);
      expect(problem).toContain('CLUSTER_MANAGER_BEHIND_PROXY=1');
    },
  );

  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])(
    'listening on the loopback address %s needs no TLS',
    (host) => {
      expect(readEnvironment({ CLUSTER_MANAGER_HOST: host }).host).toBe(host);
    },
  );

  it('listening beyond loopback is allowed with a TLS certificate and key, or behind a proxy', () => {
    const tls = { CLUSTER_MANAGER_TLS_CERT: pem, CLUSTER_MANAGER_TLS_KEY: pem };
    expect(readEnvironment({ CLUSTER_MANAGER_HOST: '0.0.0.0', ...tls }).tls).toEqual({ certPath: pem, keyPath: pem });
    expect(readEnvironment({ CLUSTER_MANAGER_HOST: '0.0.0.0', CLUSTER_MANAGER_BEHIND_PROXY: '1' })).toMatchObject({
      host: '0.0.0.0',
      behindProxy: true,
    });
  });

  it('TLS settings are rejected without both certificate and key, or when a file cannot be read', () => {
    expect(problemOf({ CLUSTER_MANAGER_TLS_CERT: pem })).toContain('CLUSTER_MANAGER_TLS_KEY is missing');
    const nowhere = join(folder, 'nowhere.pem');
    expect(problemOf({ CLUSTER_MANAGER_TLS_CERT: nowhere, CLUSTER_MANAGER_TLS_KEY: pem })).toContain('cannot be read');
  });
});

it('environmentVariables lists exactly the variables that the source reads', () => {
  const ofTheMachine = ['PATH', 'HOME', 'XDG_CACHE_HOME', 'FAULTS'];
  const source = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path) && path !== join('config', 'variables.ts'))
    .map((path) => readFileSync(join('src', path), 'utf8'))
    .join('\n');
  const indexed = source.matchAll(/\benv(?:ironment)?\??\.?\[['"]([A-Z][A-Z0-9_]+)['"]\]/g);
  const parsed = source.matchAll(/\bvalues\.([A-Z][A-Z0-9_]+)\b/g);
  const read = new Set(
    [...indexed, ...parsed].map(([, name]) => name).filter((name) => !ofTheMachine.includes(name ?? '')),
  );
  const listed = environmentVariables.map((variable) => variable.name);
  expect([...read].filter((name) => !listed.includes(name ?? ''))).toEqual([]);
  // Read by @temporalio/envconfig under these names.
  const elsewhere = (name: string) => /^TEMPORAL_(TLS|API_KEY|NAMESPACE)/.test(name);
  expect(listed.filter((name) => !read.has(name) && !elsewhere(name))).toEqual([]);
});
