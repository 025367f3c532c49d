import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { buildTemporal } from '../../src/dev-stack/temporal/build.js';
import { downloadTemporal } from '../../src/dev-stack/temporal/download.js';
import { findPostgres } from '../../src/dev-stack/postgres/programs.js';
import { cachedTemporalCli, findTemporal } from '../../src/dev-stack/temporal/programs.js';
import { refusalOf, temporaryFolder, writeProgram } from './support.js';

const fakePostgres = (folder: string, version: string): string => {
  writeProgram(join(folder, 'postgres'), `echo "postgres (PostgreSQL) ${version}"`);
  writeProgram(join(folder, 'initdb'), 'exit 0');
  return folder;
};

const fakeTemporal = (path: string, server: string): string =>
  writeProgram(path, `echo "temporal version 9.9.9 (Server ${server}, UI 2.42.1)"`);

const serve = async (answer: Parameters<typeof createServer>[1]): Promise<string> => {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

describe('PostgreSQL', () => {
  it('is taken from POSTGRES_BIN_DIR before any other place', async () => {
    const root = temporaryFolder();
    const chosen = fakePostgres(join(root, 'chosen'), '17.4 (Debian 17.4-1)');
    const onPath = fakePostgres(join(root, 'path'), '16.2');
    const { found } = await findPostgres({ POSTGRES_BIN_DIR: chosen, PATH: onPath });
    expect(found).toMatchObject({ path: chosen, version: '17.4' });
  });

  it('is refused with the reason when POSTGRES_BIN_DIR cannot be used', async () => {
    const folder = temporaryFolder();
    const refusal = await refusalOf(findPostgres({ POSTGRES_BIN_DIR: folder }));
    expect(refusal.code).toBe('invalid_configuration');
    expect(refusal.message).toContain(`${folder}/postgres does not exist`);
  });

  it('on PATH is found through a link, with initdb in the folder of the real file', async () => {
    const root = temporaryFolder();
    const real = fakePostgres(join(root, 'real'), '16.2');
    const linked = join(root, 'bin');
    writeProgram(join(linked, 'other'), 'exit 0');
    symlinkSync(join(real, 'postgres'), join(linked, 'postgres'));
    expect((await findPostgres({ PATH: linked })).found).toMatchObject({ path: real, version: '16.2' });
  });

  it('of another major version than the data is skipped, with the reason', async () => {
    const folder = fakePostgres(temporaryFolder(), '13.9');
    const { attempts } = await findPostgres({ PATH: folder, CLUSTER_MANAGER_CACHE: folder }, 99);
    expect(attempts[0]).toEqual({ way: 'postgres on PATH', reason: `version 13.9 in ${folder} is older than 14` });
    expect(attempts.slice(1).every(({ reason }) => /written by 99|does not exist/.test(reason))).toBe(true);
  });
});

describe('the Temporal CLI', () => {
  it('is taken from TEMPORAL_CLI_PATH, then PATH, then the cache', async () => {
    const root = temporaryFolder();
    const environment = { PATH: join(root, 'bin'), CLUSTER_MANAGER_CACHE: join(root, 'cache') };
    fakeTemporal(cachedTemporalCli(environment), '1.29.1');
    expect((await findTemporal(environment)).found?.path).toBe(cachedTemporalCli(environment));
    fakeTemporal(join(root, 'bin', 'temporal'), '1.29.1');
    expect((await findTemporal(environment)).found?.path).toBe(join(root, 'bin', 'temporal'));
    const chosen = fakeTemporal(join(root, 'own', 'cli'), '1.30.0');
    expect((await findTemporal({ ...environment, TEMPORAL_CLI_PATH: chosen })).found).toMatchObject({
      path: chosen,
      version: '1.30.0',
    });
  });

  it('on PATH is skipped when its server is too old: versions are compared as numbers', async () => {
    const root = temporaryFolder();
    const environment = { PATH: join(root, 'bin'), CLUSTER_MANAGER_CACHE: join(root, 'cache') };
    fakeTemporal(join(root, 'bin', 'temporal'), '1.9.0');
    fakeTemporal(cachedTemporalCli(environment), '1.29.1');
    const { found, attempts } = await findTemporal(environment);
    expect(found?.path).toBe(cachedTemporalCli(environment));
    expect(attempts[0]?.reason).toContain('contains server 1.9.0, older than 1.28.0');
  });

  it('is refused with its own error message when TEMPORAL_CLI_PATH does not run', async () => {
    const broken = writeProgram(join(temporaryFolder(), 'cli'), 'echo "no such library" >&2; exit 127');
    const refusal = await refusalOf(findTemporal({ TEMPORAL_CLI_PATH: broken }));
    expect(refusal.code).toBe('invalid_configuration');
    expect(refusal.message).toContain('no such library');
  });
});

describe('the download of the Temporal CLI', () => {
  it('puts the program in place and leaves no other file', async () => {
    const root = temporaryFolder();
    fakeTemporal(join(root, 'made', 'temporal'), '1.29.1');
    execFileSync('tar', ['-czf', join(root, 'cli.tar.gz'), '-C', join(root, 'made'), 'temporal']);
    const origin = await serve((request, response) => {
      const isArchive = request.url === '/archive';
      const info = { archiveUrl: `http://${request.headers.host}/archive`, fileToExtract: 'temporal' };
      response.end(isArchive ? readFileSync(join(root, 'cli.tar.gz')) : JSON.stringify(info));
    });
    const target = join(root, 'cache', 'temporal');
    await downloadTemporal({ target, origin, version: 'v1.5.1', log: () => undefined });
    expect(readdirSync(join(root, 'cache'))).toEqual(['temporal']);
    expect((await findTemporal({ TEMPORAL_CLI_PATH: target })).found?.version).toBe('1.29.1');
  });

  it('fails when no byte arrives in time', async () => {
    const root = temporaryFolder();
    const origin = await serve(() => undefined);
    const target = join(root, 'temporal');
    await expect(
      downloadTemporal({ target, origin, stallMs: 100, version: 'v1.5.1', log: () => undefined }),
    ).rejects.toThrow('no progress for 0.1 s');
    expect(existsSync(target)).toBe(false);
  });

  it('gives up when the archive stops half-way', async () => {
    const root = temporaryFolder();
    const origin = await serve((request, response) => {
      if (request.url === '/archive') response.writeHead(200).write('half');
      else
        response.end(
          JSON.stringify({ archiveUrl: `http://${request.headers.host}/archive`, fileToExtract: 'temporal' }),
        );
    });
    const target = join(root, 'temporal');
    await expect(
      downloadTemporal({ target, origin, stallMs: 100, version: 'v1.5.1', log: () => undefined }),
    ).rejects.toThrow('no progress');
    expect(readdirSync(root)).toEqual([]);
  });

  it('fails with the reason when there is no connection', async () => {
    const target = join(temporaryFolder(), 'temporal');
    await expect(
      downloadTemporal({ target, origin: 'http://127.0.0.1:9', version: 'v1.5.1', log: () => undefined }),
    ).rejects.toThrow(/ECONNREFUSED|bad port/);
  });
});

describe('building the Temporal CLI', () => {
  it('is refused with an old Go, naming its version', async () => {
    const root = temporaryFolder();
    writeProgram(join(root, 'go'), 'echo go1.24.4');
    await expect(
      buildTemporal({
        target: join(root, 'temporal'),
        environment: { PATH: root },
        version: 'v1.5.1',
        log: () => undefined,
      }),
    ).rejects.toThrow('Go 1.24.4 is older than 1.25');
  });

  it('is refused without Go', async () => {
    const root = temporaryFolder();
    await expect(
      buildTemporal({
        target: join(root, 'temporal'),
        environment: { PATH: root },
        version: 'v1.5.1',
        log: () => undefined,
      }),
    ).rejects.toThrow('Go is not on PATH');
  });
});
