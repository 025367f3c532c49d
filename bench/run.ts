import { communication } from './communication/index.js';
import { formation } from './formation/index.js';
import { report } from './figure.js';
import { scaling } from './scaling/index.js';

const benches = { formation, communication, scaling } as const;

const [name = '', ...flags] = process.argv.slice(2);
const unknown = flags.filter((flag) => flag !== '--quick');
if (!(name in benches) || unknown.length > 0) {
  const seen = unknown.length > 0 ? unknown.join(' ') : name || 'nothing';
  process.stderr.write(
    `Unknown argument "${seen}"; allowed: npm run bench -- <${Object.keys(benches).join('|')}> [--quick]\n`,
  );
  process.exit(2);
}
const figures = await benches[name as keyof typeof benches](flags.includes('--quick'));
report(name, figures);
