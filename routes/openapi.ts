import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

/** Gives the OpenAPI description of all routes. */
export default (async (fastify) => {
  fastify.get('/openapi.json', { config: { cache: 'public' }, schema: { hide: true } }, async () => fastify.swagger())
}) satisfies FastifyPluginAsyncTypebox
