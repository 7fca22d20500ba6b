import fp from 'fastify-plugin'
import { type Guidance, readGuidance } from '../lib/tools/guidance.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The operator's guidance on the tools; `null` leaves that to the servers' own instructions. */
    readonly guidance: Guidance | null
  }
}

/** Start phase: reads the operator's guidance file, where there is one. */
export default fp(async (fastify) => {
  const { guidanceFile } = fastify.config
  fastify.decorate('guidance', guidanceFile === undefined ? null : readGuidance(guidanceFile))
}, { name: 'guidance', dependencies: ['config'] })
