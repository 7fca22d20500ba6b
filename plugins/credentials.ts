import fp from 'fastify-plugin'
import { createCredentialValidator, type CredentialValidator } from '../lib/sessions/credential-validator.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Asks the API whether credentials are good. */
    readonly validateCredentials: CredentialValidator
  }
}

export default fp(async (fastify) => {
  fastify.decorate('validateCredentials', createCredentialValidator(fastify.config.validation, fastify.config.apiHosts))
}, { name: 'credentials', dependencies: ['config'] })
