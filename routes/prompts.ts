import type { FastifyPluginAsync } from 'fastify'

/** Lists the prompts that a session may use. */
export default (async (fastify) => {
  fastify.addListRoute('/prompts', {
    kind: 'prompts',
    tag: 'prompts',
    summary: 'List the prompts',
    description: 'The prompts as their servers describe them. With several servers, they are named as tools are.'
  })
}) satisfies FastifyPluginAsync
