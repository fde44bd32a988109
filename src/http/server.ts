import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { Api } from '../gateway/api.ts';
import { authenticate } from './auth.ts';
import { admitBodies, bodyMemory } from './body-memory.ts';
import { documentRoutes, serveDocument, serveSwaggerUi } from './document.ts';
import { documentScopes } from './document-scopes.ts';
import { clientErrorHandler, errorHandler } from './error-handler.ts';
import { refuseIfMatch } from './etag.ts';
import { explainRoutes } from './explain.ts';
import { shareFairly } from './fair-share.ts';
import { healthRoutes } from './health.ts';
import { acceptOnlyJson } from './json-body.ts';
import { keyRoutes } from './keys.ts';
import { rememberPaths } from './known-paths.ts';
import { mailboxRoutes } from './mailboxes.ts';
import { messageBatchRoutes } from './message-batch.ts';
import { messageChangeRoutes } from './message-changes.ts';
import { messageEventRoutes } from './message-events.ts';
import { messageListRoutes } from './message-list.ts';
import { messageRetryRoutes } from './message-retries.ts';
import { messageScheduleRoutes } from './message-schedule.ts';
import { messageValidationRoutes } from './message-validation.ts';
import { messageRoutes } from './messages.ts';
import { metricsRoute } from './metrics.ts';
import { checkHost, HOST_IS_OURS_TO_CHECK, takeOverFromNode } from './node-answers.ts';
import { sendProblem } from './problem.ts';
import { refuseQueries } from './query.ts';
import { chargeRequests } from './rate-limit.ts';
import { referenceRoutes } from './reference.ts';
import { requestIdOf } from './request-id.ts';
import { SECURITY_HEADERS } from './security-headers.ts';
import { endSilentConnections } from './silent-connections.ts';
import { verifyRoutes } from './verify.ts';
import { webhookRoutes } from './webhooks.ts';

/** Bounds on what one client may cost. Node's own leave a slow one connected for minutes. */
export interface HttpLimits {
  /** Of a body that holds messages; base64 makes attachments a third larger. */
  bodyBytes: number;
  /** The most that any mailbox may send, after encoding: how much of an upload is read. */
  messageBytes: number;
  /** Memory that large bodies may take at a time; others wait for it. */
  bodyMemoryBytes: number;
  /** How long they wait, before they are answered 503. */
  bodyWaitMilliseconds: number;
  /** From the connection, or the first byte of a later request, to the end of its headers. */
  headersMilliseconds: number;
  /** To the end of its body. */
  requestMilliseconds: number;
  /** Idle between two requests. Longer than the 60 seconds of usual load balancers, who must be the first to close. */
  keepAliveMilliseconds: number;
  /** How often the three are looked at. */
  checkMilliseconds: number;
  /** Between two comments in a stream of events, so that neither end takes the other for gone. */
  heartbeatMilliseconds: number;
  /** No stream of events is longer; its reader comes back and goes on where it was. */
  streamMilliseconds: number;
  /** Requests of one caller in work at a time; a large body counts as several. */
  callerRequests: number;
  /** Requests of one caller that may wait for those, their bodies unread. */
  callerQueue: number;
  /** Long polls and streams of one caller. */
  callerWaiting: number;
}

/** Of a body that holds no message, in octets: the longest is a key with 100 addresses, or a log to explain. */
const SMALL_BODY = 256 * 1024;

export const DEFAULT_LIMITS: HttpLimits = {
  bodyBytes: 48 * 1024 * 1024,
  messageBytes: 35_000_000,
  bodyMemoryBytes: 512 * 1024 * 1024,
  bodyWaitMilliseconds: 15_000,
  headersMilliseconds: 10_000,
  requestMilliseconds: 60_000,
  keepAliveMilliseconds: 65_000,
  checkMilliseconds: 2_000,
  heartbeatMilliseconds: 15_000,
  streamMilliseconds: 3_600_000,
  callerRequests: 64,
  callerQueue: 1_000,
  callerWaiting: 2_000,
};

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its body may be as large as messages are. */
    holdsMessages?: true;
  }
}

export interface ServerOptions {
  api: Api;
  /** Where faults and refusals are told, and at level debug each answer; nowhere if absent. */
  logger?: FastifyBaseLogger;
  /** Of Postroom, for the document. */
  version: string;
  limits?: Partial<HttpLimits>;
  /** Addresses with which Swagger UI's example works when it is sent as it stands. */
  exampleFrom?: string;
  exampleTo?: string;
  /** Serve `/docs`; true if absent. `/openapi.json` is always served. */
  swaggerUi?: boolean;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

/** The HTTP server, ready but not listening. The order in which things are added is the order in which they act. */
export async function createServer(options: ServerOptions): Promise<FastifyInstance> {
  const { api, logger, version, swaggerUi = true, now = Date.now } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const example = { from: options.exampleFrom ?? 'billing@contoso.com', to: options.exampleTo ?? 'ada@fabrikam.com' };

  const app = bareServer(logger, limits);
  app.setSerializerCompiler(() => JSON.stringify);
  app.setErrorHandler(errorHandler);
  const methodsOf = rememberPaths(app);
  app.setNotFoundHandler((request, reply) => refusePath(request, reply, methodsOf));

  takeOverFromNode(app);
  endSilentConnections(app);
  greet(app, methodsOf);
  logAnswers(app);

  await documentRoutes(app, version);
  await app.register((scope, _options, done) => {
    refuseQueries(scope);
    referenceRoutes(scope, version, swaggerUi);
    healthRoutes(scope, api);
    done();
  });
  await app.register(
    (scope, _options, done) => {
      scope.decorateRequest('caller', null);
      scope.addHook('onRoute', (route) => {
        if (route.config?.holdsMessages) route.bodyLimit = limits.bodyBytes;
        documentScopes(route);
      });
      scope.addHook('onRequest', authenticate(api));
      scope.addHook('onRequest', chargeRequests(api));
      refuseQueries(scope);
      scope.addHook('onRequest', refuseIfMatch);
      shareFairly(scope, limits);
      const memory = bodyMemory(limits.bodyMemoryBytes, limits.bodyWaitMilliseconds);
      scope.addHook('preParsing', admitBodies(memory));
      acceptOnlyJson(scope);
      messageRoutes(scope, { api, now, example, memory, messageBytes: limits.messageBytes });
      messageListRoutes(scope, api);
      messageRetryRoutes(scope, api);
      messageBatchRoutes(scope, { api, now, example, bodyBytes: limits.bodyBytes });
      messageValidationRoutes(scope, api, now, example);
      messageEventRoutes(scope, api, limits);
      messageChangeRoutes(scope, api);
      messageScheduleRoutes(scope, api, now);
      mailboxRoutes(scope, api);
      verifyRoutes(scope, api);
      keyRoutes(scope, api.keys, now);
      webhookRoutes(scope, api);
      explainRoutes(scope, now);
      done();
    },
    { prefix: '/v1' },
  );
  await app.register((scope, _options, done) => {
    scope.decorateRequest('caller', null);
    scope.addHook('onRequest', authenticate(api));
    metricsRoute(scope, api);
    done();
  });
  serveDocument(app);
  if (swaggerUi) await serveSwaggerUi(app);
  await app.ready();
  return app;
}

function bareServer(logger: FastifyBaseLogger | undefined, limits: HttpLimits): FastifyInstance {
  return fastify({
    ...(logger && { loggerInstance: logger }),
    logController: new LogController({ disableRequestLogging: true }),
    // A logger of its own for every request would cost more than all we log.
    childLoggerFactory: (parent) => parent,
    genReqId: requestIdOf,
    requestIdHeader: false,
    bodyLimit: SMALL_BODY,
    requestTimeout: limits.requestMilliseconds,
    keepAliveTimeout: limits.keepAliveMilliseconds,
    http: {
      ...HOST_IS_OURS_TO_CHECK,
      headersTimeout: Math.min(limits.headersMilliseconds, limits.requestMilliseconds),
      connectionsCheckingInterval: limits.checkMilliseconds,
    },
    return503OnClosing: false,
    clientErrorHandler,
    frameworkErrors: (error, request, reply) => {
      reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
      void errorHandler(error, request as FastifyRequest, reply as FastifyReply);
    },
  });
}

/**
 * Before anything else, and in one hook because every request pays for each. Unknown paths are refused here, because
 * Fastify would read the body first. While closing, requests still come over open connections; load balancers take
 * the 503 to another process.
 */
function greet(app: FastifyInstance, methodsOf: (path: string) => string[]): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
    checkHost(request);
    if (closing) sendProblem(reply, 'shutting_down', { headers: { 'retry-after': '1', connection: 'close' } });
    else if (request.is404) refusePath(request, reply, methodsOf);
    else done();
  });
}

function refusePath(request: FastifyRequest, reply: FastifyReply, methodsOf: (path: string) => string[]): FastifyReply {
  const [path = '/'] = request.url.split('?');
  const methods = methodsOf(path);
  if (methods.length === 0) return sendProblem(reply, 'not_found');
  return sendProblem(reply, 'method_not_allowed', { headers: { allow: methods.join(', ') } });
}

/** The path is logged as its pattern: what callers put into URLs is not ours to keep. */
function logAnswers(app: FastifyInstance): void {
  app.addHook('onResponse', (request, reply, done) => {
    const { statusCode } = reply;
    const isRefusal = statusCode === 401 || statusCode === 403;
    if (!isRefusal && !tellsAnswers(request.log)) return done();
    const { method, routeOptions } = request;
    const { elapsedTime } = reply;
    const line = {
      requestId: request.id,
      method,
      route: routeOptions.url ?? null,
      statusCode,
      milliseconds: Math.round(elapsedTime),
      ...(request.caller?.test && { test: true }),
    };
    if (isRefusal) request.log.warn(line, 'refused a request');
    else request.log.debug(line, 'answered a request');
    done();
  });
}

/** What nobody will read need not be gathered. */
function tellsAnswers({ level }: FastifyBaseLogger): boolean {
  return level === 'debug' || level === 'trace';
}
