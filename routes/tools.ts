import type { FastifyPluginAsync } from 'fastify'
import { AnySchema } from '../lib/http/schemas.ts'

/** Lists the tools that a session may call. */
export default (async (fastify) => {
  fastify.addListRoute('/tools', {
    kind: 'tools',
    tag: 'tools',
    summary: 'List the tools',
    description: 'The tools as their servers describe them, without credentials.',
    extra: {
      name: 'workflow_guidance',
      schema: AnySchema,
      valueOf: ({ instructions }) => fastify.guidance?.workflowGuidance ?? { instructions }
    }
  })
}) satisfies FastifyPluginAsync
