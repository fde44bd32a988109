import type { RouteOptions } from 'fastify';

/** What @fastify/swagger reads of a route's schema beside what Fastify's own type names. */
interface Documented {
  description?: string;
  security?: Record<string, string[]>[];
}

/**
 * Says in the document which scopes a route asks for: what is enforced and what is told come from the same list. Any one
 * of them is enough, so that each is an alternative of its own (OpenAPI 3.1 §4.8.30; of a scheme that is not OAuth 2 the
 * array may name roles).
 */
export function documentScopes({ config, schema }: RouteOptions): void {
  const scopes = config?.permissions;
  if (!scopes || !schema) return;
  const documented = schema as Documented;
  // Fastify adds a HEAD to every GET, with the same schema.
  if (documented.security) return;
  documented.security = scopes.flatMap((scope) => [{ apiKey: [scope] }, { entraToken: [scope] }]);
  const needs = `Needs the scope ${scopes.map((scope) => `\`${scope}\``).join(' or ')}.`;
  documented.description = documented.description ? `${documented.description}\n\n${needs}` : needs;
}
