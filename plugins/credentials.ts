import fp from 'fastify-plugin'
import { createCredentialValidator, type CredentialValidator } from '../lib/sessions/credential-validator.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Checks credentials with the validation API. */
    readonly validateCredentials: CredentialValidator
  }
}

/** Session phase: checks the credentials that open a session. */
export default fp(async (fastify) => {
  fastify.decorate('validateCredentials', createCredentialValidator(fastify.config.validation, fastify.config.apiHosts))
}, { name: 'credentials', dependencies: ['config'] })
