import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const folder = 'docs/adr';
const index = readFileSync(join(folder, 'README.md'), 'utf8');
const pages = readdirSync(folder).filter((name) => name !== 'README.md');

/** `Save each step's result` -> `save-each-steps-result` */
const slug = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/['’`]/g, '')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');

describe('the architecture decisions', () => {
  it.each(pages)('%s is named after its number and title, and is listed in docs/adr/README.md', (name) => {
    const [, number, title] = /^# (\d+)\. (.+)\n/.exec(readFileSync(join(folder, name), 'utf8')) ?? [];
    expect(name).toBe(`${number?.padStart(4, '0')}-${slug(title ?? '')}.md`);
    const row = new RegExp(String.raw`^\| ${number} +\| \[(.+)\]\((.+)\) +\|$`, 'm').exec(index) ?? [];
    expect(row.slice(1)).toEqual([title, name]);
  });

  it('never use a number twice', () => {
    const numbers = pages.map((name) => name.slice(0, 4));
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  it('exist for every entry in docs/adr/README.md', () => {
    const listed = [...index.matchAll(/\]\((\d{4}-[^)]+)\)/g)].map((match) => match[1]);
    expect(listed.filter((name) => !pages.includes(name ?? ''))).toEqual([]);
  });
});
