import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/telemetry/index.js';
import { redactLine } from '../../src/telemetry/redact.js';

const token = 'cma_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** Runs a body with a logger and gives back the lines it wrote, parsed. */
function linesOf(body: (logger: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  body(createLogger('test', 'trace', { write: (line) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the logger', () => {
  it('the logger writes one JSON object per line with name, level name and time', () => {
    const [line] = linesOf((logger) => logger.info({ clusterId: 'cl_1' }, 'formed'));
    expect(line).toMatchObject({ name: 'test', level: 'info', clusterId: 'cl_1', msg: 'formed' });
    expect(Date.parse(String(line?.['time']))).not.toBeNaN();
  });

  it.each<[string, (logger: ReturnType<typeof createLogger>) => void]>([
    ['a field', (logger) => logger.info({ adminToken: 'hush-hush' }, 'x')],
    ['a nested field', (logger) => logger.info({ headers: { authorization: 'hush-hush' } }, 'x')],
    ['a child logger', (logger) => logger.child({ password: 'hush-hush' }).info('x')],
    ['a text that is JSON', (logger) => logger.info({ body: JSON.stringify({ token: 'say "hush-hush"' }) }, 'x')],
    ['a URL', (logger) => logger.info({ at: 'postgres://ada:hush-hush@db/clusters_db' }, 'x')],
    ['a message', (logger) => logger.info('sent Bearer hush-hush')],
    [
      'an error with a cause',
      (logger) => logger.error(new Error('x', { cause: new Error('postgres://a:hush-hush@h') })),
    ],
  ])('the logger redacts a secret in %s', (_where, write) => {
    const text = JSON.stringify(linesOf(write));
    expect(text).not.toContain('hush-hush');
    expect(text).toContain('[redacted]');
  });

  it.each<[string, (logger: ReturnType<typeof createLogger>) => void]>([
    ['a field of any name', (logger) => logger.info({ note: `got ${token}` }, 'x')],
    ['a message', (logger) => logger.info(`got ${token}`)],
    ['a format argument', (logger) => logger.info('got %s', token)],
    ['an error', (logger) => logger.error(new Error(`got ${token}`))],
  ])('the logger redacts a cluster manager token in %s', (_where, write) => {
    expect(JSON.stringify(linesOf(write))).not.toContain(token.slice(4));
  });

  it('the logger keeps fields whose names only resemble secrets', () => {
    const fields = { tokensPerMinute: 5, tokenId: 'tok_1', url: 'http://127.0.0.1:8420/v1', path: 'C:\\u001b' };
    expect(linesOf((logger) => logger.info(fields, 'x'))[0]).toMatchObject(fields);
  });

  it('the logger escapes line ends and terminal escape sequences in messages', () => {
    const lines: string[] = [];
    createLogger('test', 'info', { write: (line) => void lines.push(line) }).info('a\r\n{"level":"fatal"}\u001b[2J');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd()).not.toMatch(/[\r\n]/);
    expect((JSON.parse(lines[0] ?? '') as { msg: string }).msg).not.toMatch(/[\r\u001b]/);
  });

  it.each([
    ['backslashes', '\\'.repeat(100_000)],
    ['half a member', '"token":"'.repeat(20_000)],
    ['escaped quotes', `"token":"${'\\\\\\"'.repeat(30_000)}`],
    ['URL beginnings', `${'a.'.repeat(100_000)}${'://x'.repeat(10_000)}`],
  ])('redactLine stays fast and keeps valid JSON for input with %s', (_what, text) => {
    const started = performance.now();
    expect(() => void JSON.parse(redactLine(JSON.stringify({ text })))).not.toThrow();
    // Ten times what it takes; a quadratic expression needs tens of seconds.
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
