// Bundles the workflows at build time: a worker that does so when it starts takes ten seconds longer to become ready.
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

if (!existsSync(at('src/workflows/index.ts'))) {
  console.error('setup: src/workflows/index.ts does not exist, so no workflows are bundled');
} else {
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: at('dist/workflows/index.js'),
    // The modules are loaded once for all runs, so no module-level variable of a workflow may hold a run's state.
    preloadModules: [at('dist/workflows/index.js')],
    logger: new DefaultLogger('WARN'),
  });
  const target = at('dist/workflow-bundle.js');
  writeFileSync(`${target}.draft`, code);
  rmSync(target, { force: true });
  renameSync(`${target}.draft`, target);
}
