import type { Api, ManagerDeps } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';

const apply = operationRoute({
  operationId: 'applyConfig',
  method: 'post',
  path: '/v1/config/apply',
  summary: 'Read the settings file again: Schedules and limits follow in place',
  tags: ['config'],
  responses: { 200: json(shapes.configApplied, 'What the server goes by now') },
});

export function configRoutes(api: Api, deps: ManagerDeps): void {
  api.openapi(apply, async (c) => {
    const needRestart = await deps.applyConfig();
    return c.json({ configPath: deps.config().configPath, needRestart: [...needRestart] }, 200);
  });
}
