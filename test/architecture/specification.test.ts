import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { functions } from '../../src/contracts/steps.js';

const rows = readFileSync('docs/specification.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

const rowOf = (name: string): readonly string[] => rows.find((cells) => cells.includes(`\`${name}\``)) ?? [];
const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

describe('docs/specification.md', () => {
  it.each(functions.flatMap(({ workflow, steps }) => [workflow, ...steps]).map(snakeCase))(
    'names the source and the test of %s',
    (name) => {
      const row = rowOf(name).join('|');
      expect(row).toMatch(/\]\(\.\.\/src\//);
      expect(row).toMatch(/\]\(\.\.\/test\//);
    },
  );

  it.each([
    'id',
    'name',
    'capabilities',
    'relationships',
    'databases.clusters',
    'databases.communication',
    'databases.resources',
    'formation_interval',
    'scaling_interval',
    'alert_thresholds.cluster_size',
    'alert_thresholds.communication_latency',
    'alert_thresholds.resource_usage',
    'alert_thresholds.stability_score',
  ])('names the source that uses the setting %s', (name) => {
    expect(rowOf(name).join('|')).toMatch(/\]\(\.\.\/src\//);
  });

  it('links a source in every row that says that something is built', () => {
    const withoutSource = rows.filter((cells) => cells.includes('built') && !cells.join('|').includes('](../src/'));
    expect(withoutSource).toEqual([]);
  });
});
