import type { FastifyPluginAsync } from 'fastify'

/** Lists the templates of URIs that a session may read. */
export default (async (fastify) => {
  fastify.addListRoute('/resource-templates', {
    kind: 'resourceTemplates',
    tag: 'resources',
    summary: 'List the resource templates',
    description: 'The templates as their servers describe them. With several servers, each names its `server`.'
  })
}) satisfies FastifyPluginAsync
