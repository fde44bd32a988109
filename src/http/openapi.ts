import type { Api } from '../gateway/api.ts';
import { createServer } from './server.ts';

/**
 * The OpenAPI 3.1 document, from the routes themselves. The same for the same version: it is committed, and compared.
 *
 * @param version of Postroom
 */
export async function buildOpenApi(version: string): Promise<object> {
  const app = await createServer({ api: NOBODY, version, swaggerUi: false });
  try {
    return app.swagger();
  } finally {
    await app.close();
  }
}

const unused = async (): Promise<never> => {
  throw new Error('The server that only describes itself was asked to work.');
};

const NOBODY = new Proxy({} as Api, { get: () => unused });
