// Writes openapi.json from the routes of the built API; with --check compares, and fails when the file is behind them.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../openapi.json', import.meta.url));
const { createApi } = await import('../dist/http/app.js');
const { openApiDocument } = await import('../dist/http/routes/openapi.js');

// The routes describe themselves without a database: nothing of what they are made with is used until a request comes.
const text = `${JSON.stringify(openApiDocument(createApi({})), null, 2)}\n`;

if (process.argv.includes('--check')) {
  const written = (() => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return '';
    }
  })();
  if (written === text) console.log('openapi.json says what the routes say');
  else {
    console.error(
      'openapi.json is not what the routes say: run "npm run build && node scripts/openapi.mjs" and commit it',
    );
    process.exitCode = 1;
  }
} else {
  writeFileSync(file, text);
  console.log(`openapi.json written: ${Object.keys(JSON.parse(text).paths).length} paths`);
}
