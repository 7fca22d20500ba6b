import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

/** The API's own description. */
export default (async (fastify) => {
  fastify.get('/openapi.json', { schema: { hide: true } }, async () => fastify.swagger())
}) satisfies FastifyPluginAsyncTypebox
