import fp from 'fastify-plugin'
import { type Guidance, readGuidance } from '../lib/tools/guidance.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What the operator tells about the tools; `null` leaves it to the servers' own instructions. */
    readonly guidance: Guidance | null
  }
}

export default fp(async (fastify) => {
  const { guidanceFile } = fastify.config
  fastify.decorate('guidance', guidanceFile === undefined ? null : readGuidance(guidanceFile))
}, { name: 'guidance', dependencies: ['config'] })
