import type { FastifyPluginAsync } from 'fastify'

/** Lists the resources that a session may read. */
export default (async (fastify) => {
  fastify.addListRoute('/resources', {
    kind: 'resources',
    tag: 'resources',
    summary: 'List the resources',
    description: 'The resources as their servers describe them. With several servers, each names its `server`.'
  })
}) satisfies FastifyPluginAsync
