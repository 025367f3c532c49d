import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const pages = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter(existsSync);

/** The relative link targets of a Markdown page that name no file. */
function deadLinks(page: string, text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^([a-z]+:|#)/.test(target))
    .filter((target) => !existsSync(join(dirname(page), target.replace(/#.*$/, ''))));
}

describe('the relative links of Markdown pages', () => {
  it('are reported when their target does not exist', () => {
    expect(deadLinks('docs/api.md', '[a](cli.md) [b](nowhere.md#x) [c](https://example.org) [d](#e)')).toEqual([
      'nowhere.md#x',
    ]);
  });

  it.each(pages)('in %s have existing targets', (page) => {
    expect(deadLinks(page, readFileSync(page, 'utf8'))).toEqual([]);
  });
});
