// Writes openapi.json from the endpoint table of the built API. With --check it compares instead, and fails when they differ.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../openapi.json', import.meta.url));
const { openApiDocument } = await import('../dist/http/openapi.js');

const text = `${JSON.stringify(openApiDocument(), null, 2)}\n`;

if (process.argv.includes('--check')) {
  const written = (() => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return '';
    }
  })();
  if (written === text) console.log('openapi.json matches the routes');
  else {
    console.error(
      'openapi.json differs from the routes: run "npm run build && node scripts/openapi.mjs" and commit it',
    );
    process.exitCode = 1;
  }
} else {
  writeFileSync(file, text);
  console.log(`openapi.json written: ${Object.keys(JSON.parse(text).paths).length} paths`);
}
