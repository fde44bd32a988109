import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KEYS } from '../support/fake-api.ts';
import { aBody, type HttpService, problemOf, startHttpService } from '../support/http-service.ts';

let service: HttpService;
beforeAll(async () => {
  service = await startHttpService();
});
afterAll(() => service.app.close());

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const isMarked = ({ headers }: Response) => headers.get('postroom-test') === 'true';

describe('an answer to a test key', () => {
  it('is marked, whatever it is', async () => {
    const { post, get } = service;
    const answers = [
      await post(aBody(), bearer(KEYS.test)),
      await post({}, bearer(KEYS.test)),
      await post('{', bearer(KEYS.test)),
      await get('/v1/messages/msg_00000000000000000000000000', bearer(KEYS.test)),
      await get('/v1/mailboxes', bearer(KEYS.test)),
    ];
    expect(answers.map(({ status }) => status)).toEqual([202, 422, 400, 404, 403]);
    expect(answers.every(isMarked)).toBe(true);
  });

  it('differs from one to any other key', async () => {
    expect(isMarked(await service.post(aBody()))).toBe(false);
    expect(isMarked(await service.get('/health/live'))).toBe(false);
  });
});

describe('a test key that was given the scope operate', () => {
  it('operates no mailbox all the same', async () => {
    const problem = await problemOf(await service.get('/v1/mailboxes/main', bearer(KEYS.test)));
    expect(problem).toMatchObject({ status: 403, code: 'insufficient_scope' });
  });
});
