// Bundles the workflows once, at build time: a worker that bundles at its start takes ten seconds longer to be ready.
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

if (!existsSync(at('src/workflows/index.ts'))) {
  console.error('setup: src/workflows/index.ts is not there, so there are no workflows to bundle');
} else {
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: at('dist/workflows/index.js'),
    // Loaded once for all runs, not again for each: so no module of the workflows may keep a run's state in a variable.
    preloadModules: [at('dist/workflows/index.js')],
    logger: new DefaultLogger('WARN'),
  });
  const target = at('dist/workflow-bundle.js');
  writeFileSync(`${target}.draft`, code);
  rmSync(target, { force: true });
  renameSync(`${target}.draft`, target);
}
