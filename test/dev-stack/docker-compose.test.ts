import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { environmentVariables } from '../../src/config/variables.js';
import { packageFolder } from '../../src/dev-stack/paths.js';
import { findOnPath } from '../../src/dev-stack/find-program.js';
import { temporalCliVersion } from '../../src/dev-stack/temporal/programs.js';
import { startStack } from '../../src/dev-stack/stack.js';
import { temporaryFolder } from './support.js';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

const at = (path: string): string => join(packageFolder, path);
const compose = parse(readFileSync(at('docker-compose.yml'), 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
};
const services = Object.entries(compose.services);
const own = services.filter(([, { build }]) => build !== undefined);
const dockerfile = readFileSync(at('Dockerfile'), 'utf8');

it('Docker Compose runs PostgreSQL, Temporal with its UI, a worker and the server', () => {
  expect(services.map(([name]) => name)).toEqual(['postgres', 'temporal', 'temporal-ui', 'worker', 'server']);
});

describe.each(services)('Docker Compose service %s', (_name, service) => {
  it('has an image of a fixed version', () => {
    expect(service.image).toMatch(/:\d+\.\d+(\.\d+)?(-\w+)?$/);
  });

  it('has a health check, and starts after the services that it uses are healthy', () => {
    expect(service.healthcheck?.test[0]).toBe('CMD');
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(compose.services[other]).toBeDefined();
      expect(condition).toBe('service_healthy');
    }
  });

  it('publishes on loopback only', () => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  it('has no secret in the file', () => {
    const secret = Object.entries(service.environment ?? {}).filter(([name]) => /PASSWORD|PWD|TOKEN$/.test(name));
    for (const [name, value] of secret) expect(value, name).toMatch(/^\$\{\w+:\?set it in \.env\}$/);
    const url = Object.entries(service.environment ?? {}).filter(([name]) => name.endsWith('DATABASE_URL'));
    for (const [name, value] of url)
      expect(value, name).toMatch(/^postgres:\/\/(\w+):\$\{\w+:\?set it in \.env\}@postgres:5432\/\1$/);
  });

  it('mounts only files that exist', () => {
    const files = (service.volumes ?? [])
      .map((volume) => volume.split(':')[0] ?? '')
      .filter((path) => path.startsWith('.'));
    for (const file of files) expect(existsSync(at(file)), file).toBe(true);
  });
});

describe.each(own)('Docker Compose service %s of this project', (_name, service) => {
  it('runs a program that the build produces', () => {
    const script = service.command?.at(-1) ?? '';
    expect(script).toMatch(/^dist\/\w+\.js$/);
    expect(existsSync(at(`src/${basename(script, '.js')}.ts`)), script).toBe(true);
    expect(dockerfile).toContain('COPY --from=build /app/dist ./dist');
  });

  it('sets only variables that the configuration reads', () => {
    const known = environmentVariables.map(({ name }) => name);
    expect(known).toEqual(expect.arrayContaining(Object.keys(service.environment ?? {})));
  });

  it('has a health check that fails when nothing answers', () => {
    const [, command = '', ...args] = service.healthcheck?.test ?? [];
    expect(command).toBe('node');
    const closed = args.map((arg) => arg.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1'));
    const { status, stderr } = spawnSync(process.execPath, closed, { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
  });
});

it('Docker Compose runs the same Temporal server version as npm start', () => {
  expect(temporalCliVersion).toBe('v1.5.1');
  expect(compose.services['temporal']?.image).toBe('temporalio/auto-setup:1.29.1');
});

it('the Dockerfile copies only files that exist and that .dockerignore includes', () => {
  const sources = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, list]) => list?.split(' ') ?? []);
  const allowed = readFileSync(at('.dockerignore'), 'utf8').split('\n');
  expect(sources).toContain('package-lock.json');
  for (const source of sources) {
    expect(existsSync(at(source)), source).toBe(true);
    expect(allowed).toContain(`!${source}`);
  }
});

it.skipIf(!findOnPath('psql', process.env['PATH']))(
  'create-databases.sh creates roles that can connect to their own databases only, with any characters in their passwords',
  async () => {
    const stack = await startStack({ stateDir: temporaryFolder(), ports: 'free', services: 'data', durable: false });
    onTestFinished(() => stack.stop());
    const admin = new URL(stack.adminDatabaseUrl);
    const client = new pg.Client({ connectionString: admin.href });
    await client.connect();
    for (const name of ['clusters_db', 'communication_db', 'resources_db']) {
      await client.query(`drop database ${name}`);
      await client.query(`drop role ${name}`);
    }
    await client.end();
    const password = `it's "quoted" $HOME \\ :'x' ü`;
    execFileSync('sh', [at('docker/create-databases.sh')], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        PGHOST: admin.hostname,
        PGPORT: admin.port,
        PGPASSWORD: admin.password,
        POSTGRES_USER: 'postgres',
        CLUSTERS_DB_PASSWORD: password,
        COMMUNICATION_DB_PASSWORD: password,
        RESOURCES_DB_PASSWORD: password,
        TEMPORAL_DB_PASSWORD: password,
      },
    });
    const canConnect = async (user: string, database: string): Promise<boolean> => {
      const one = new pg.Client({ host: admin.hostname, port: Number(admin.port), user, password, database });
      const entered = await one.connect().then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: '42501' });
          return false;
        },
      );
      await one.end();
      return entered;
    };
    const databases = [
      'clusters_db',
      'communication_db',
      'resources_db',
      'temporal',
      'temporal_visibility',
      'postgres',
    ];
    const entered: Record<string, readonly string[]> = {};
    for (const role of ['clusters_db', 'communication_db', 'resources_db', 'temporal']) {
      const open: string[] = [];
      for (const database of databases) if (await canConnect(role, database)) open.push(database);
      entered[role] = open;
    }
    expect(entered).toEqual({
      clusters_db: ['clusters_db'],
      communication_db: ['communication_db'],
      resources_db: ['resources_db'],
      temporal: ['temporal', 'temporal_visibility'],
    });
  },
);
