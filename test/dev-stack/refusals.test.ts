import { createServer as createHttp2Server } from 'node:http2';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { reserveExactPort, reservePort } from '../../src/dev-stack/ports.js';
import { startStack } from '../../src/dev-stack/stack.js';
import { collector, refusalOf, temporaryFolder, writeProgram } from './support.js';

const listen = async (server: Server | ReturnType<typeof createHttp2Server>): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
};

/** A start that is refused leaves no lock and no process. */
const refusedStart = async (stateDir: string, env: Readonly<Record<string, string>> = {}) => {
  const { events, report } = collector();
  const refusal = await refusalOf(startStack({ stateDir, ports: 'free', services: 'data', env, report }));
  expect(existsSync(join(stateDir, 'owner.json'))).toBe(false);
  expect(events.filter(({ message }) => message.startsWith('ready'))).toEqual([]);
  return refusal;
};

describe('startStack refuses a state folder', () => {
  it('that is a file', async () => {
    const path = join(temporaryFolder(), 'state');
    writeFileSync(path, 'a file');
    expect(await refusalOf(startStack({ stateDir: path, services: 'data' }))).toMatchObject({
      code: 'state_folder_corrupt',
      message: expect.stringContaining(path),
    });
  });

  it.each([
    ['secrets.json', 'not JSON'],
    ['secrets.json', '{"adminToken":"short"}'],
    ['versions.json', '{"postgres":["15"]}'],
    ['children.json', '[]'],
  ])('with a damaged %s (%s), and does not change it', async (name, text) => {
    const stateDir = temporaryFolder();
    writeFileSync(join(stateDir, name), text);
    const refusal = await refusedStart(stateDir);
    expect(refusal.code).toBe('state_folder_corrupt');
    expect(refusal.message).toContain(join(stateDir, name));
    expect(refusal.message).toContain('move it away');
    expect(readFileSync(join(stateDir, name), 'utf8')).toBe(text);
  });

  it('whose postgres folder contains something else', async () => {
    const stateDir = temporaryFolder();
    mkdirSync(join(stateDir, 'postgres'));
    writeFileSync(join(stateDir, 'postgres', 'photo.jpg'), '');
    expect(await refusedStart(stateDir)).toMatchObject({
      code: 'state_folder_corrupt',
      message: expect.stringContaining('is not a PostgreSQL data folder'),
    });
  });

  it('written by another major version of PostgreSQL, with both versions in the message', async () => {
    const stateDir = temporaryFolder();
    mkdirSync(join(stateDir, 'postgres', 'global'), { recursive: true });
    writeFileSync(join(stateDir, 'postgres', 'PG_VERSION'), '15\n');
    writeFileSync(join(stateDir, 'postgres', 'global', 'pg_control'), '');
    writeFileSync(join(stateDir, 'versions.json'), '{"postgres":"15.3"}');
    const bin = temporaryFolder();
    writeProgram(join(bin, 'postgres'), 'echo "postgres (PostgreSQL) 17.4"');
    writeProgram(join(bin, 'initdb'), 'exit 0');
    const refusal = await refusedStart(stateDir, { POSTGRES_BIN_DIR: bin });
    expect(refusal.message).toContain('version 17.4');
    expect(refusal.message).toContain('written by 15');
  });

  it('whose Temporal data was written by a newer server', async () => {
    const stateDir = temporaryFolder();
    mkdirSync(join(stateDir, 'temporal'));
    const file = join(stateDir, 'temporal', 'temporal.sqlite');
    writeFileSync(file, `SQLite format 3\0${'x'.repeat(100)}`);
    writeFileSync(join(stateDir, 'versions.json'), '{"temporalServer":"99.1.0"}');
    const refusal = await refusedStart(stateDir);
    expect(refusal.code).toBe('incompatible_service');
    expect(refusal.message).toContain('99.1.0');
    expect(readFileSync(file, 'utf8')).toContain('xxx');
  });

  it('whose Temporal data file contains something else', async () => {
    const stateDir = temporaryFolder();
    mkdirSync(join(stateDir, 'temporal'));
    writeFileSync(join(stateDir, 'temporal', 'temporal.sqlite'), 'a letter to a friend');
    expect(await refusedStart(stateDir)).toMatchObject({
      code: 'state_folder_corrupt',
      message: expect.stringContaining('temporal.sqlite is not a SQLite file'),
    });
  });
});

describe('startStack refuses an external service', () => {
  it('when no Temporal server answers at the address, which the message names', async () => {
    const refusal = await refusedStart(temporaryFolder(), { TEMPORAL_ADDRESS: '127.0.0.1:9' });
    expect(refusal.code).toBe('service_unavailable');
    expect(refusal.message).toContain('TEMPORAL_ADDRESS=127.0.0.1:9');
    expect(refusal.message).toContain('ECONNREFUSED');
  });

  it('that is an old Temporal server, with both versions in the message', async () => {
    const server = createHttp2Server((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/grpc' });
      response.write(Buffer.from([0, 0, 0, 0, 8, 0x0a, 6, ...Buffer.from('1.20.4')]));
      response.addTrailers({ 'grpc-status': '0' });
      response.end();
    });
    const port = await listen(server);
    const refusal = await refusedStart(temporaryFolder(), { TEMPORAL_ADDRESS: `127.0.0.1:${port}` });
    expect(refusal.code).toBe('incompatible_service');
    expect(refusal.message).toContain('1.20.4');
    expect(refusal.message).toContain('1.28.0');
  });

  it('that is no PostgreSQL server, with host and port but not the password in the message', async () => {
    const port = await listen(createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    const refusal = await refusedStart(temporaryFolder(), { DATABASE_URL: `postgres://u:hush@127.0.0.1:${port}/` });
    expect(refusal.code).toBe('service_unavailable');
    expect(refusal.message).toContain(`127.0.0.1:${port} (DATABASE_URL)`);
    expect(refusal.message).not.toContain('hush');
  });

  it('when only one of the three databases has a URL, with the names of the others in the message', async () => {
    const refusal = await refusedStart(temporaryFolder(), { CLUSTERS_DATABASE_URL: 'postgres://u:p@127.0.0.1/x' });
    expect(refusal.code).toBe('invalid_configuration');
    expect(refusal.message).toContain('COMMUNICATION_DATABASE_URL and RESOURCES_DATABASE_URL is not set');
  });
});

describe('ports', () => {
  it('a busy API port is refused before anything starts', async () => {
    const port = await listen(createServer());
    const { events, report } = collector();
    const stateDir = temporaryFolder();
    const refusal = await refusalOf(startStack({ stateDir, ports: 'free', apiPort: port, report }));
    expect(refusal.code).toBe('port_busy');
    expect(refusal.message).toContain(`Port ${port} on 127.0.0.1 is in use`);
    expect(refusal.message).toContain(`--port ${port + 1}`);
    expect(events).toEqual([]);
    expect(existsSync(join(stateDir, 'postgres'))).toBe(false);
  });

  it('the next free port is reserved when the preferred one is in use', async () => {
    const first = await reservePort();
    const second = await reservePort(first.port);
    expect(second.port).toBeGreaterThan(first.port);
    first.release();
    second.release();
  });

  it('a reserved port is not given to another stack, though nothing listens on it', async () => {
    const held = await reservePort();
    expect(await reserveExactPort(held.port)).toBeUndefined();
    held.release();
    const again = await reserveExactPort(held.port);
    expect(again?.port).toBe(held.port);
    again?.release();
  });

  it('concurrent reservations get different ports, all below the ephemeral ports of the kernel', async () => {
    const reservations = await Promise.all(Array.from({ length: 20 }, () => reservePort()));
    const ports = reservations.map(({ port }) => port);
    expect(new Set(ports).size).toBe(20);
    expect(Math.max(...ports)).toBeLessThan(30_000);
    for (const reservation of reservations) reservation.release();
  });
});

it('a start that is aborted ends the processes that it had started', async () => {
  const stateDir = temporaryFolder();
  const abort = new AbortController();
  const { events, report } = collector();
  const start = startStack({
    stateDir,
    ports: 'free',
    services: 'data',
    durable: false,
    signal: abort.signal,
    report: (event) => {
      report(event);
      if (event.message.startsWith('ready')) abort.abort();
    },
  });
  await expect(start).rejects.toThrow();
  expect(events.some(({ message }) => message.startsWith('ready'))).toBe(true);
  expect(JSON.parse(readFileSync(join(stateDir, 'children.json'), 'utf8'))).toEqual({ children: [] });
  expect(existsSync(join(stateDir, 'owner.json'))).toBe(false);
});
