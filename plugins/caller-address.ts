import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyRequest {
    /** Where the request came from. */
    readonly callerAddress: string
  }
}

export default fp(async (fastify) => {
  fastify.decorateRequest('callerAddress', {
    getter () {
      return this.ip
    }
  })
}, { name: 'caller-address', dependencies: ['config'] })
